"""A small U-Net: an encoder that may be pre-trained, and a decoder that restores the resolution.

Source: Ronneberger, Fischer and Brox, U-Net: Convolutional Networks for Biomedical Image
Segmentation (2015).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from transferlab.applications.feature_maps import FeatureMaps
from transferlab.errors import InputError
from transferlab.models.backbone import Backbone


class UNet(nn.Module):
    """maps of a backbone → decoder → one score per class and pixel. (N, C, H, W) → (N, K, H, W)

    The decoder begins with the coarsest map. In each step it is enlarged to the size of the next
    finer map, concatenated with it, and the two are mixed by a 3×3 convolution. So what the coarse
    map says (a star is here) is combined with what the fine map says (an edge runs along this
    pixel).
    """

    def __init__(self, backbone: Backbone, num_classes: int) -> None:
        super().__init__()
        if num_classes < 1:
            raise InputError(f"num_classes={num_classes}: expected at least 1.")
        self.encoder = FeatureMaps(backbone)
        *finer, width = self.encoder.widths
        self.decoder = nn.ModuleList()
        for skip in reversed(finer):
            self.decoder.append(
                nn.Sequential(
                    nn.Conv2d(width + skip, skip, 3, padding=1, bias=False),
                    nn.BatchNorm2d(skip),
                    nn.ReLU(),
                )
            )
            width = skip
        self.head = nn.Conv2d(width, num_classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        *finer, y = self.encoder(x)
        for mix, skip in zip(self.decoder, reversed(finer), strict=True):
            y = F.interpolate(y, size=skip.shape[2:], mode="nearest")
            y = mix(torch.cat([y, skip], dim=1))
        return self.head(y)
