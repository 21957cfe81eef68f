"""Inception v3 with few channels and a stem for small images.

Source: Szegedy, Vanhoucke, Ioffe, Shlens and Wojna, Rethinking the Inception Architecture for
Computer Vision (2016).
"""

from typing import Any

import torch
from torch import Tensor, nn

from transferlab.errors import InputError
from transferlab.models.backbone import Backbone

DIVISOR = 8


def narrow_convolution(inputs: int, outputs: int, **options: Any) -> nn.Module:
    """Return convolution, BatchNorm, ReLU with an eighth of the channels on both sides."""
    from torchvision.models.inception import BasicConv2d  # here: it takes as long as torch

    return BasicConv2d(inputs // DIVISOR, outputs // DIVISOR, **options)


class Inception(nn.Module):
    """A stem, blocks of parallel branches, the average. (N, channels, H, W) → (N, 256)

    The blocks are torchvision's, and the numbers below are their channels before the division by
    eight. One of each kind: `Mixed_5b` sees the image through 1×1, 3×3 and 5×5 windows (Inception
    A), `Mixed_6b` through 1×7 and 7×1 (B), `Mixed_7b` through 1×3 and 3×1 (C). Between them,
    `Mixed_6a` and `Mixed_7a` halve the height and width.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        from torchvision.models import inception as original  # here: it takes as long as torch

        conv = narrow_convolution
        # The original's stem without its first stride and its last pooling: of 32×32 pixels it
        # makes 11×11 positions, as the original does of 107×107.
        self.Conv2d_1a_3x3 = original.BasicConv2d(channels, 32 // DIVISOR, kernel_size=3)
        self.Conv2d_2a_3x3 = conv(32, 32, kernel_size=3)
        self.Conv2d_2b_3x3 = conv(32, 64, kernel_size=3, padding=1)
        self.maxpool1 = nn.MaxPool2d(3, stride=2)
        self.Conv2d_3b_1x1 = conv(64, 80, kernel_size=1)
        self.Conv2d_4a_3x3 = conv(80, 192, kernel_size=3)
        self.Mixed_5b = original.InceptionA(192, pool_features=64, conv_block=conv)
        self.Mixed_6a = original.InceptionB(288, conv_block=conv)
        self.Mixed_6b = original.InceptionC(768, channels_7x7=128, conv_block=conv)
        self.Mixed_7a = original.InceptionD(768, conv_block=conv)
        self.Mixed_7b = original.InceptionE(1280, conv_block=conv)
        self.width = 2048 // DIVISOR
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.children():  # they are defined in the order of use
            x = layer(x)
        return torch.mean(x, dim=(2, 3))


def narrow_inception(num_classes: int = 10, shape: tuple[int, int, int] = (3, 32, 32)) -> Backbone:
    """Return a short Inception v3 with an eighth of the channels: 0.2 M weights, not 23.8 M.

    Each kind of block that the original has is there once. Layers have torchvision's names. It
    normalises with 0.3 and 0.4, near the mean and deviation of the generated letters.
    """
    if min(shape[1:]) < 23:
        raise InputError(f"narrow_inception needs images of at least 23 pixels; found {shape}.")
    features = Inception(shape[0])
    return Backbone(
        features,
        features.width,
        num_classes,
        shape=shape,
        name="narrow_inception",
        mean=(0.3,) * shape[0],
        std=(0.4,) * shape[0],
    )
