"""The encoder is the backbone without its head: shared layers, the same checks."""

import copy

import pytest
import torch

from transferlab import InputError
from transferlab.models import Encoder, Projector, mlp, resnet20, small_cnn


@pytest.mark.parametrize(
    "backbone", [mlp(3, (1, 4, 4)), small_cnn(3), resnet20(3, (3, 8, 8))], ids=lambda b: b.name
)
def test_it_returns_the_features_of_the_backbone(backbone):
    x = torch.rand(2, *backbone.shape)
    backbone.eval()
    assert torch.equal(Encoder(backbone)(x), backbone.forward_features(x))


def test_it_holds_the_backbones_own_layers_and_no_head():
    backbone = resnet20(3, (3, 8, 8))
    held = {id(p) for p in Encoder(backbone).parameters()}
    assert held == {id(p) for p in backbone.features.parameters()}
    assert not held & {id(p) for p in backbone.head.parameters()}
    normalisation = {id(b) for b in backbone.normalize.buffers()}
    assert normalisation <= {id(b) for b in Encoder(backbone).buffers()}  # moves to the GPU as well


def test_images_of_another_size_get_the_backbones_sentence():
    with pytest.raises(InputError, match=r"small_cnn expects inputs of shape \(N, 1, 8, 8\)"):
        Encoder(small_cnn(3))(torch.rand(2, 1, 9, 9))


def test_a_copy_does_not_share_the_layers():
    encoder, x = Encoder(mlp(3, (1, 4, 4))), torch.rand(2, 1, 4, 4)
    other = copy.deepcopy(encoder)
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.zero_()
    assert not encoder(x).any()
    assert other(x).any()


def test_the_projection_comes_after_the_features():
    backbone, x = mlp(3, (1, 4, 4), widths=(7,)), torch.rand(2, 1, 4, 4)
    projector = Projector(backbone, outputs=5)
    assert projector(x).shape == (2, 5)
    assert torch.equal(projector(x), projector.projection(backbone.forward_features(x)))
