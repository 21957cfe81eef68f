"""A backbone's feature maps: the features at each position, before the global average."""

import torch
from torch import Tensor, nn

from transferlab.errors import InputError
from transferlab.metrics import evaluation_mode
from transferlab.models.backbone import Backbone


class FeatureMaps(nn.Module):
    """The last map of every size. (N, C, H, W) → [(N, widths[0], H, W), …, coarsest]

    A classifier averages its last map over all positions, because it only has to say *what* is
    there. Saying *where* as well needs the maps themselves: the coarsest one says most about what
    is at a position, the finer ones say more exactly where it is.

    The layers are the backbone's own, not copies, as in `Encoder`. Images may have another size
    than the backbone's, as long as every halving is exact: convolutions work at any size.

    Attributes:
        layers: the backbone's layers up to its coarsest map, without the average and the head.
        widths: the channels of each map.
        strides: how many pixels of the image one position of each map covers.
    """

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        if not isinstance(backbone.features, nn.Sequential):
            raise InputError(
                f"{backbone.name} does not keep its layers in a row; expected features that are "
                "an nn.Sequential, such as small_cnn's."
            )
        if not any(isinstance(layer, nn.Conv2d) for layer in backbone.features.modules()):
            raise InputError(f"{backbone.name} has no feature maps; expected a convolution.")
        self.normalize = backbone.normalize
        self.layers = nn.Sequential()
        for name, layer in backbone.features.named_children():
            if isinstance(layer, nn.AdaptiveAvgPool2d | nn.Flatten):
                break
            self.layers.add_module(name, layer)
        side = 2 ** len(self.layers)  # divisible even if every layer halves it
        like = next(self.layers.parameters())
        empty = torch.zeros(1, backbone.shape[0], side, side, device=like.device)
        with torch.no_grad(), evaluation_mode(self):  # BatchNorm's statistics must not change
            maps = self(empty)
        self.widths = [feature_map.shape[1] for feature_map in maps]
        self.strides = [side // feature_map.shape[2] for feature_map in maps]

    def forward(self, x: Tensor) -> list[Tensor]:
        x = self.normalize(x)
        maps: list[Tensor] = []
        for layer in self.layers:
            x = layer(x)
            if maps and maps[-1].shape[2:] == x.shape[2:]:
                maps[-1] = x  # a later map of the same size replaces the earlier one
            else:
                maps.append(x)
        return maps
