"""A backbone's feature maps: what it knows at each place, before the places are averaged."""

import torch
from torch import Tensor, nn

from transferlab.errors import InputError
from transferlab.metrics import evaluation_mode
from transferlab.models.backbone import Backbone


class FeatureMaps(nn.Module):
    """The last map of every size. (N, C, H, W) → [(N, widths[0], H, W), …, coarsest]

    A classifier averages its last map over all places, because it only has to say *what* is there.
    Who also has to say *where* needs the maps themselves: the coarsest one knows most about a
    place, the finer ones know better where it is.

    The layers are the backbone's own, not copies, as in `Encoder`. Images of another size than the
    backbone's are welcome, as long as all halvings come out even: convolutions do not mind.

    Attributes:
        layers: the backbone's layers up to its coarsest map, without the average and the head.
        widths: the channels of each map.
        strides: how many pixels of the image one place of each map stands for.
    """

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        if not isinstance(backbone.features, nn.Sequential):
            raise InputError(
                f"{backbone.name} does not keep its layers in a row; expected features that are "
                "an nn.Sequential, such as small_cnn's."
            )
        if not any(isinstance(layer, nn.Conv2d) for layer in backbone.features.modules()):
            raise InputError(
                f"{backbone.name} has no map: it has no places; expected a convolution."
            )
        self.normalize = backbone.normalize
        self.layers = nn.Sequential()
        for name, layer in backbone.features.named_children():
            if isinstance(layer, nn.AdaptiveAvgPool2d | nn.Flatten):
                break
            self.layers.add_module(name, layer)
        side = 2 ** len(self.layers)  # even after as many halvings as there are layers
        like = next(self.layers.parameters())
        empty = torch.zeros(1, backbone.shape[0], side, side, device=like.device)
        with torch.no_grad(), evaluation_mode(self):  # BatchNorm's statistics must not move
            maps = self(empty)
        self.widths = [found.shape[1] for found in maps]
        self.strides = [side // found.shape[2] for found in maps]

    def forward(self, x: Tensor) -> list[Tensor]:
        x = self.normalize(x)
        maps: list[Tensor] = []
        for layer in self.layers:
            x = layer(x)
            if maps and maps[-1].shape[2:] == x.shape[2:]:
                maps[-1] = x  # a later map of the same size takes the place of the earlier one
            else:
                maps.append(x)
        return maps
