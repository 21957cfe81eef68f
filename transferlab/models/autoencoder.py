"""Autoencoders: a backbone encodes an image as features, a decoder reconstructs it."""

import math

import torch
from torch import Tensor, nn

from transferlab.models.backbone import Backbone
from transferlab.models.encoder import Encoder


def decoder(width: int, shape: tuple[int, int, int], hidden: int = 256) -> nn.Sequential:
    """Return a small network from features to pixels. (N, width) → (N, *shape)

    It is small because it is thrown away after pre-training, and because what the decoder cannot
    do, the features must do. Its output has no sigmoid: the squared error then has a gradient
    everywhere, and rows of a table can be reconstructed too.
    """
    return nn.Sequential(
        nn.Linear(width, hidden),
        nn.ReLU(),
        nn.Linear(hidden, math.prod(shape)),
        nn.Unflatten(1, shape),
    )


class Autoencoder(nn.Module):
    """features → decoder. (N, *shape) → (N, *shape)

    What goes in and what comes out are pixels in 0..1. A normalisation that belongs to the
    backbone is applied on the way in only.
    """

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.encoder = Encoder(backbone)
        self.decoder = decoder(backbone.width, backbone.shape)

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encoder(x))


class MaskedAutoencoder(nn.Module):
    """An autoencoder whose input has some pixels masked. (N, *shape) → (N, *shape)

    A learned value, one per channel, replaces the masked pixels. Zero would not do: it is a colour
    too, and the network could not distinguish black pixels from masked ones.
    """

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.autoencoder = Autoencoder(backbone)
        self.mask_value = nn.Parameter(torch.full((backbone.shape[0], 1, 1), 0.5))

    def forward(self, x: Tensor, hidden: Tensor) -> Tensor:
        """Reconstruct images; `hidden`, shape (N, 1, H, W), is True where a pixel is masked."""
        return self.autoencoder(torch.where(hidden, self.mask_value, x))
