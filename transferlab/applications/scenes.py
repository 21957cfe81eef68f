"""Scenes: images with several shapes, their boxes and their masks."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from transferlab.data.dataset import MemoryDataset
from transferlab.data.sets.digits import check_image_size
from transferlab.data.sets.shapes import CLASSES, draw_scenes
from transferlab.errors import InputError


@dataclass(frozen=True)
class Scenes:
    """Images with the objects in them.

    Attributes:
        x: images, shape (N, channels, size, size), in 0..1.
        boxes: the edges x1, y1, x2, y2 in pixels of the smallest box around the *visible* pixels of
            each object, shape (N, objects, 4). A single pixel at the corner has (0, 0, 1, 1).
        labels: the class of each object, shape (N, objects); -1, and a box of zeros, where the
            image has fewer objects. Objects are in drawing order: later ones hide earlier ones.
        masks: the class that each pixel shows, plus 1; 0 is background. Shape (N, size, size).
        classes: the names of the classes, without the background.
    """

    x: Tensor
    boxes: Tensor
    labels: Tensor
    masks: Tensor
    classes: tuple[str, ...] = CLASSES

    def __len__(self) -> int:
        return len(self.x)

    def to(self, device: torch.device | str) -> "Scenes":
        """Return the same scenes on another device."""
        tensors = (self.x, self.boxes, self.labels, self.masks)
        return Scenes(*(tensor.to(device) for tensor in tensors), self.classes)

    def numbered(self) -> MemoryDataset:
        """Return the images, labelled with their rows, by which a loss looks up boxes and masks.

        >>> def loss_fn(model, batch):
        ...     x, rows = batch
        ...     return F.cross_entropy(model(x), scenes.masks[rows])
        """
        rows = torch.arange(len(self), device=self.x.device)
        return MemoryDataset(self.x, rows, [f"scene {row}" for row in range(len(self))], "scenes")


def scenes(n: int, seed: int = 0, size: int = 32, channels: int = 3, objects: int = 3) -> Scenes:
    """Return `n` images with 1 to `objects` shapes each, for detection and segmentation.

    Where shapes overlap, the one drawn later hides the other. Boxes and masks cover only what is
    visible. A shape of which less than a quarter would be visible is left out, so that no box is
    around a sliver. One `n` and `seed` are one set; another `n` is another draw.
    """
    _check(n, size, channels, objects)
    generator = torch.Generator().manual_seed(seed)
    chunk = max(1, 512 * 32**2 // size**2)
    parts = [
        draw_scenes(min(chunk, n - start), generator, size, channels, objects)
        for start in range(0, n, chunk)
    ]
    return Scenes(*(torch.cat(part) for part in zip(*parts, strict=True)))


def _check(n: int, size: int, channels: int, objects: int) -> None:
    if n < 1 or objects < 1:
        raise InputError(f"scenes: n={n} and objects={objects}; expected at least 1 of each.")
    check_image_size("scenes", size, channels)
    smallest = math.ceil(8 * math.sqrt(objects))
    if size < smallest:
        raise InputError(
            f"scenes: size={size} is too small for {objects} objects; expected {smallest} or more."
        )
