"""Features of a frozen backbone, computed once."""

import pytest
import torch

from transferlab import InputError, freeze, load_backbone
from transferlab.data import digits, few_shot
from transferlab.features import extract_features


@pytest.fixture
def model():
    return load_backbone("small_cnn", "letters", num_classes=10, seed=0)


@pytest.fixture(scope="module")
def few():
    return few_shot(digits(), 5, seed=0)


def test_features_are_those_of_the_frozen_network_in_training(model, few):
    freeze(model)
    found = extract_features(model, few, batch_size=7, device="cpu")
    model.train()
    with torch.no_grad():
        assert torch.allclose(found.x, model.forward_features(few.x), atol=1e-6)
    assert torch.equal(found.y, few.y)
    assert found.classes == few.classes
    assert found.x.shape == (50, model.width)


def test_a_backbone_that_can_still_change_is_refused(model, few):
    with pytest.raises(InputError, match="is trainable"):
        extract_features(model, few)
    freeze(model, until="block5")
    with pytest.raises(InputError, match=r"features.block5\..* is trainable"):
        extract_features(model, few)


@pytest.mark.parametrize("batch_stats", ["adapt", "batch"])
def test_batch_statistics_are_refused(model, few, batch_stats):
    freeze(model, batch_stats=batch_stats)
    with pytest.raises(InputError, match=r"BatchNorm features.block1.bn depends on the batch"):
        extract_features(model, few)


def test_every_layer_is_left_in_its_mode(model, few):
    freeze(model)
    model.train()
    modes = {name: module.training for name, module in model.named_modules()}
    extract_features(model, few)
    assert {name: module.training for name, module in model.named_modules()} == modes
    assert modes["features.block1.bn"] is False
    assert modes["features"] is True
