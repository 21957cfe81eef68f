"""A backbone: features, their width, a head, and the preprocessing that belongs to the weights."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from transferlab.checks import shape_advice
from transferlab.data.dataset import as_float
from transferlab.errors import InputError

LOWEST, HIGHEST = -0.01, 1.01  # pixels are in 0..1, up to rounding


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


@dataclass(frozen=True)
class FitTo:
    """Resize the shorter side, then crop the centre: a PIL picture → uint8 of that shape."""

    shape: tuple[int, int, int]

    def __call__(self, picture: Image.Image) -> Tensor:
        from torchvision.transforms import functional as V  # here: it takes as long as torch

        channels, height, width = self.shape
        picture = picture.convert("L" if channels == 1 else "RGB")
        scale = max(height / picture.height, width / picture.width)
        size = [
            max(height, round(picture.height * scale)),
            max(width, round(picture.width * scale)),
        ]
        return V.pil_to_tensor(V.center_crop(V.resize(picture, size), [height, width]))


class Backbone(nn.Module):
    """normalise → features → head. (N, *shape) → (N, width) → (N, num_classes)

    Attributes:
        features: the part that is pre-trained; returns one vector of `width` numbers per image.
        head: the last linear layer, new for every task.
        shape: the (channels, height, width) that the network expects.
        transform: turns a PIL picture into a uint8 tensor of that shape (None: not for pictures).
        name: the architecture's name.
        weights: what the features were loaded from (None: random weights).
        classes: the names of the head's classes (None: it has not learned any).
        columns: the names of a table's columns that the network was trained on, if any.
        trained_on: the name of the data that the head was trained on.
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
        is_for_images = len(self.shape) == 3 and self.shape[0] in (1, 3)
        self.transform = FitTo(self.shape) if transform is None and is_for_images else transform
        self.weights: str | None = None
        self.columns: list[str] | None = None
        self.normalization_left_out = False
        self._strange_pixels: Tensor | None = None  # on a GPU: whether any were seen
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
        self.classes: list[str] | None = None
        self.trained_on: str | None = None

    def leave_out_normalization(self) -> None:
        """Feed the features raw pixels, which is a mistake for nearly all pre-trained weights."""
        self.normalization_left_out = isinstance(self.normalize, Normalize)
        self.normalize = nn.Identity()

    def forward_features(self, x: Tensor) -> Tensor:
        """Return the features, before the head. (N, *shape) → (N, width)

        uint8 pixels are divided by 255.
        """
        self._check(x)
        x = as_float(x)
        if x.dtype == torch.float64:  # numpy's default, when the network has another type
            x = x.to(next(self.parameters()).dtype)
        if isinstance(self.normalize, Normalize):
            self._check_pixels(x)
        return self.features(self.normalize(x))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.forward_features(x))

    def _check(self, x: Tensor) -> None:
        if tuple(x.shape[1:]) != self.shape:
            raise InputError(
                f"{self.name} expects inputs of shape (N, {str(self.shape)[1:-1].rstrip(',')}); "
                f"found {tuple(x.shape)}. {shape_advice(self.shape, tuple(x.shape))}"
            )

    def _check_pixels(self, x: Tensor) -> None:
        """Refuse pixels outside 0..1; on a GPU only note them, as the CPU would have to wait."""
        if torch._C._functorch.is_functorch_wrapped_tensor(x) or x.is_meta:  # no values to look at
            return
        if x.device.type != "cpu" or torch.compiler.is_compiling():
            strange = ((x < LOWEST) | (x > HIGHEST)).any()
            seen = self._strange_pixels
            self._strange_pixels = strange if seen is None else strange | seen
        elif x.numel():
            low, high = (float(value) for value in x.detach().aminmax())
            if not (low >= LOWEST and high <= HIGHEST):
                raise self._wrong_pixels(f"{low:.2f}..{high:.2f}")

    def check_pixels_seen(self) -> None:
        """Refuse pixels outside 0..1 that a GPU has seen since the last call."""
        seen, self._strange_pixels = self._strange_pixels, None
        if seen is not None and bool(seen):
            raise self._wrong_pixels("others in some batch")

    def _wrong_pixels(self, found: str) -> InputError:
        return InputError(
            f"{self.name} normalises its input itself and expects pixels in 0..1; found {found}. "
            "Leave the normalisation out of the data's transform, and keep whole numbers in "
            "0..255 as uint8."
        )
