"""Feature maps: the backbone's own layers, before the global average."""

import pytest
import torch

from transferlab import InputError
from transferlab.applications.feature_maps import FeatureMaps
from transferlab.models import mlp, narrow_vgg16, small_cnn

SHAPE = (3, 20, 20)


def test_the_average_of_the_coarsest_map_is_the_backbones_feature():
    backbone = small_cnn(7, SHAPE).eval()
    x = torch.rand(2, *SHAPE)
    maps = FeatureMaps(backbone).eval()(x)
    assert torch.allclose(maps[-1].mean((2, 3)), backbone.forward_features(x), atol=1e-6)


def test_there_is_one_map_of_every_size():
    maps = FeatureMaps(small_cnn(7, SHAPE, widths=(4, 5, 6, 7, 8)))
    assert maps.widths == [4, 6, 8] and maps.strides == [1, 2, 4]
    assert [tuple(found.shape[1:]) for found in maps(torch.rand(2, 3, 32, 48))] == [
        (4, 32, 48),
        (6, 16, 24),
        (8, 8, 12),
    ]


def test_the_layers_are_the_backbones_own_and_are_left_as_they_were():
    backbone = small_cnn(7, SHAPE)
    before = {name: tensor.clone() for name, tensor in backbone.state_dict().items()}
    maps = FeatureMaps(backbone)
    assert maps.layers.block1 is backbone.features.block1
    assert all(torch.equal(before[name], now) for name, now in backbone.state_dict().items())
    assert all(module.training for module in maps.modules())
    assert "head" not in dict(maps.named_children())


def test_features_that_are_not_in_a_row_are_refused():
    with pytest.raises(InputError, match="narrow_vgg16 does not keep its layers in a row"):
        FeatureMaps(narrow_vgg16(7))


def test_a_network_without_feature_maps_is_refused():
    with pytest.raises(InputError, match=r"mlp has no feature maps; expected a convolution"):
        FeatureMaps(mlp(7, SHAPE))
