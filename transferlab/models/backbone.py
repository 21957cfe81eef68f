"""A backbone: features, their width, a head, and the preprocessing that belongs to the weights."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from transferlab.errors import InputError


class Normalize(nn.Module):
    """(x − mean) / std per channel, for images with values in 0..1.

    It is a layer of the model, not of the data, so that it cannot be forgotten, done twice, or
    done with another network's numbers.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        # Not persistent: the numbers belong to the architecture's recipe, not to a checkpoint.
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.std

    def extra_repr(self) -> str:
        return f"mean={self.mean.flatten().tolist()}, std={self.std.flatten().tolist()}"


class Backbone(nn.Module):
    """normalise → features → head. (N, *shape) → (N, width) → (N, num_classes)

    Attributes:
        features: the part that is pre-trained; returns one vector of `width` numbers per image.
        head: the last linear layer, new for every task.
        shape: the (channels, height, width) that the network expects.
        transform: turns a PIL picture into a uint8 tensor of that shape (None: nothing to do).
        name: the architecture's name.
        weights: what the features were loaded from (None: random weights).
    """

    def __init__(
        self,
        features: nn.Module,
        width: int,
        num_classes: int,
        *,
        shape: tuple[int, int, int],
        name: str,
        mean: Sequence[float] = (),
        std: Sequence[float] = (),
        transform: Callable[[Any], Tensor] | None = None,
    ) -> None:
        super().__init__()
        if len(mean) not in (0, shape[0]):
            raise InputError(
                f"{name} normalises {len(mean)} channels; found shape={shape} with {shape[0]}."
            )
        self.normalize = Normalize(mean, std) if mean else nn.Identity()
        self.features = features
        self.head: nn.Module = nn.Identity()
        self.width, self.shape, self.name = width, tuple(shape), name
        self.transform = transform
        self.weights: str | None = None
        self.normalization_left_out = False
        self._range_checked = False
        self.replace_head(num_classes)

    @property
    def num_classes(self) -> int:
        return self.head.out_features

    def replace_head(self, num_classes: int) -> None:
        """Replace the head by a new, randomly initialised linear layer."""
        if num_classes < 1:
            raise InputError(f"num_classes={num_classes}: expected at least 1.")
        like = next(self.features.parameters(), torch.empty(0))  # on the same device
        self.head = nn.Linear(self.width, num_classes, device=like.device, dtype=like.dtype)

    def leave_out_normalization(self) -> None:
        """Feed the features raw pixels, which is a mistake for nearly all pre-trained weights."""
        self.normalization_left_out = isinstance(self.normalize, Normalize)
        self.normalize = nn.Identity()

    def forward_features(self, x: Tensor) -> Tensor:
        """Return the features, before the head. (N, *shape) → (N, width)"""
        self._check(x)
        return self.features(self.normalize(x))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.forward_features(x))

    def _check(self, x: Tensor) -> None:
        if tuple(x.shape[1:]) != self.shape:
            raise InputError(
                f"{self.name} expects images of shape {self.shape}; found {tuple(x.shape[1:])}. "
                f"Resize the images (backbone.transform does), or build the network for another "
                f"size, as in load_backbone({self.name!r}, size={x.shape[-1]})."
            )
        if isinstance(self.normalize, Normalize) and not self._range_checked:
            # On the first batch only: reading values makes the CPU wait for the device.
            low, high = float(x.detach().min()), float(x.detach().max())
            if low < -0.01 or high > 1.01:
                raise InputError(
                    f"{self.name} normalises its input itself and expects pixels in 0..1; found "
                    f"{low:.2f}..{high:.2f}. Leave the normalisation out of the data's transform."
                )
            self._range_checked = True
