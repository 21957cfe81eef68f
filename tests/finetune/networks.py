"""Networks for the tests of fine-tuning: a pre-trained one, and some that are small or odd."""

import torch
from torch import nn

from transferlab import load_backbone
from transferlab.models import Backbone, small_cnn


def cnn() -> Backbone:
    """The shipped network with a new head for ten classes."""
    return load_backbone("small_cnn", weights="letters", num_classes=10, seed=0)


def narrow() -> Backbone:
    """The small CNN with few channels: fast, for what does not depend on the weights."""
    torch.manual_seed(0)
    return small_cnn(widths=(4, 4, 8, 8, 8))


def tiny() -> Backbone:
    """Two linear layers in float64, for numeric checks."""
    torch.manual_seed(3)
    features = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.Tanh())
    return Backbone(features, 3, 2, shape=(1, 2, 2), name="tiny").double()


def with_dropout() -> Backbone:
    """A network whose pre-trained part has BatchNorm and dropout."""
    torch.manual_seed(0)
    features = nn.Sequential(
        nn.Flatten(), nn.Linear(64, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.5)
    )
    return Backbone(features, 32, 10, shape=(1, 8, 8), name="with_dropout")
