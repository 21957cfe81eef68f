"""Two networks that are small enough to train live: a multilayer perceptron and a small CNN."""

import math
from collections.abc import Sequence

from torch import nn

from transferlab.models.backbone import Backbone


def mlp(
    num_classes: int = 10,
    shape: int | Sequence[int] = (1, 28, 28),
    widths: Sequence[int] = (128, 64),
) -> Backbone:
    """Return a multilayer perceptron: inputs → widths[0] → … → widths[-1] → classes.

    >>> table = data.csv_file("wine.csv")
    >>> model = mlp(len(table.classes), len(table.columns))

    Args:
        shape: (channels, height, width) of an image, or how many columns a table has.
    """
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    layers: list[nn.Module] = [nn.Flatten()]
    inputs = math.prod(shape)
    for width in widths:
        layers += [nn.Linear(inputs, width), nn.ReLU()]
        inputs = width
    return Backbone(nn.Sequential(*layers), inputs, num_classes, shape=shape, name="mlp")


def small_cnn(
    num_classes: int = 10,
    shape: tuple[int, int, int] = (1, 8, 8),
    widths: Sequence[int] = (32, 32, 64, 64, 128),
) -> Backbone:
    """Return a small convolutional network for images of 8×8 pixels or a little more.

    Five 3×3 convolutions, each with batch normalisation and ReLU. Two max poolings halve the
    image; global average pooling makes one vector of `widths[-1]` numbers of the rest.
    """
    layers: list[tuple[str, nn.Module]] = []
    channels = shape[0]
    for number, width in enumerate(widths, start=1):
        block = nn.Sequential()
        block.add_module("conv", nn.Conv2d(channels, width, 3, padding=1, bias=False))
        block.add_module("bn", nn.BatchNorm2d(width))
        block.add_module("relu", nn.ReLU())
        if number in (2, 4):  # 8×8 → 4×4 → 2×2
            block.add_module("pool", nn.MaxPool2d(2))
        layers.append((f"block{number}", block))
        channels = width
    features = nn.Sequential()
    for name, layer in layers:
        features.add_module(name, layer)
    features.add_module("pool", nn.AdaptiveAvgPool2d(1))
    features.add_module("flatten", nn.Flatten())
    return Backbone(features, channels, num_classes, shape=shape, name="small_cnn")
