"""Generated shapes: geometric objects on a noisy background, with labels, boxes and masks.

Each shape is a signed distance: how far a pixel is from the shape's edge, negative inside. Images,
boxes and masks come from the same distances, so they agree to the pixel.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from transferlab.data.dataset import FreshDataset, MemoryDataset
from transferlab.data.sets.digits import check_image_size
from transferlab.data.sets.generated import Draw, colours, pool


def _polygon(x: Tensor, y: Tensor, corners: int) -> Tensor:
    """Return the signed distance to the edges of a regular polygon whose corners have radius 1."""
    half = math.pi / corners
    # All edges are alike: turn each point into the sector of the one that crosses the x-axis.
    angle = torch.remainder(torch.atan2(y, x), 2 * half) - half
    return torch.hypot(x, y) * angle.cos() - math.cos(half)


def _star(x: Tensor, y: Tensor) -> Tensor:
    """Return the signed distance to the edges of a star with five tips of radius 1."""
    half = math.pi / 5
    angle = (torch.remainder(torch.atan2(y, x) + half, 2 * half) - half).abs()
    radius = torch.hypot(x, y)
    # An edge runs from the tip (1, 0) to a dent of radius 0.45.
    along_x, along_y = 0.45 * math.cos(half) - 1, 0.45 * math.sin(half)
    across = along_y * (radius * angle.cos() - 1) - along_x * radius * angle.sin()
    return across / math.hypot(along_x, along_y)


def _bars(x: Tensor, y: Tensor) -> Tensor:
    """Return the signed distance to a cross of two bars."""
    x, y = x.abs(), y.abs()
    return torch.minimum(torch.maximum(x - 1, y - 0.28), torch.maximum(x - 0.28, y - 1))


def _disc(x: Tensor, y: Tensor) -> Tensor:
    return torch.hypot(x, y) - 0.9


def _ring(x: Tensor, y: Tensor) -> Tensor:
    return (torch.hypot(x, y) - 0.72).abs() - 0.22


def _crescent(x: Tensor, y: Tensor) -> Tensor:
    return torch.maximum(torch.hypot(x, y) - 1, 0.75 - torch.hypot(x - 0.5, y))


KINDS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "disc": _disc,
    "ring": _ring,
    "crescent": _crescent,
    "triangle": lambda x, y: _polygon(x, y, 3),
    "square": lambda x, y: _polygon(x, y, 4),
    "star": _star,
    "cross": _bars,
}
CLASSES = tuple(KINDS)
SEEN = 0.25  # an object of which a smaller share would be visible is left out


def shapes(n: int, seed: int = 0, size: int = 32, channels: int = 3) -> MemoryDataset:
    """Return `n` images of one shape each, x of shape (n, channels, size, size) in 0..1, 7 classes.

    Shapes differ in place, size, direction, colour and background. One `n` and `seed` are one set;
    another `n` is another draw, not a longer one.
    """
    chunk = max(1, 1024 * 32**2 // size**2)
    return pool(_drawing(size, channels), n, seed, CLASSES, "shapes", chunk)


def fresh_shapes(samples: int = 25_600, size: int = 32, channels: int = 3) -> FreshDataset:
    """Return shapes that are drawn anew for every batch; `samples` of them count as an epoch."""
    return FreshDataset(_drawing(size, channels), samples, CLASSES, "fresh shapes")


def _drawing(size: int, channels: int) -> Draw:
    check_image_size("shapes", size, channels)

    def draw(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        x, _, labels, _ = draw_scenes(n, generator, size, channels, objects=1)
        return x, labels[:, 0]

    return draw


def draw_scenes(
    n: int, generator: torch.Generator, size: int, channels: int, objects: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Draw n scenes; return x, boxes, labels and masks as in `Scenes`."""
    kinds = torch.randint(len(KINDS), (n, objects), generator=generator)
    count = torch.randint(1, objects + 1, (n, 1), generator=generator)
    distance = _distances(kinds, size, generator)
    present = torch.arange(objects) < count

    inside = (distance < 0) & present[:, :, None, None]
    seen = _visible(inside).sum((2, 3)) / inside.sum((2, 3)).clamp_min(1)
    present &= seen >= SEEN  # an object left out hides none: the others only become more visible
    inside &= present[:, :, None, None]
    visible = _visible(inside)

    paper, *paints = colours(n, objects + 1, channels, generator).unbind(1)
    x = paper + _texture(n, channels, size, generator)
    for number, paint in enumerate(paints):
        cover = (0.5 - distance[:, number]).clamp(0, 1) * present[:, number, None, None]
        x = torch.lerp(x, paint, cover[:, None])  # an edge covers a part of its pixels
    x += 0.04 * torch.randn(x.shape, generator=generator)

    masks = (visible * (kinds + 1)[:, :, None, None]).sum(1)
    order = present.logical_not().byte().argsort(dim=1, stable=True)  # absent ones to the end
    labels = kinds.masked_fill(~present, -1).gather(1, order)
    boxes = _boxes(visible).gather(1, order[:, :, None].expand(-1, -1, 4))
    return x.clamp_(0, 1), boxes, labels, masks


def _distances(kinds: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """Place a shape for each kind, (N, K); return each pixel's distance to its edge, in pixels.

    The result has shape (N, K, size, size). Shapes are wholly inside the image.
    """

    def uniform(low: float, high: float) -> Tensor:
        return torch.rand(kinds.numel(), 1, 1, generator=generator) * (high - low) + low

    radius = uniform(0.25, 0.45) * size / math.sqrt(kinds.shape[1])
    centre_x, centre_y = (radius + uniform(0, 1) * (size - 2 * radius) for _ in range(2))
    angle = uniform(-math.pi, math.pi)
    pixel = torch.arange(size) + 0.5  # distances are measured at the middle of each pixel
    distance = torch.empty(kinds.numel(), size, size)
    for kind, shape in enumerate(KINDS.values()):
        rows = (kinds.flatten() == kind).nonzero().flatten()
        cos, sin, r = angle[rows].cos(), angle[rows].sin(), radius[rows]
        x, y = (pixel - centre_x[rows]) / r, (pixel[:, None] - centre_y[rows]) / r
        distance[rows] = r * shape(cos * x + sin * y, cos * y - sin * x)
    return distance.view(*kinds.shape, size, size)


def _visible(inside: Tensor) -> Tensor:
    """Return where each object is visible, (N, K, H, W): inside it and inside none drawn later."""
    covered = inside.flip(1).cumsum(1, dtype=torch.int16).flip(1)  # by itself and by later ones
    return inside & (covered == 1)


def _boxes(visible: Tensor) -> Tensor:
    """Return the smallest box around each visible area, (N, K, H, W) → (N, K, 4); 0 if empty."""

    def extent(seen: Tensor) -> tuple[Tensor, Tensor]:
        first = seen.byte().argmax(dim=2)
        last = seen.shape[2] - seen.byte().flip(2).argmax(dim=2)
        return first, last

    (x1, x2), (y1, y2) = extent(visible.any(dim=2)), extent(visible.any(dim=3))
    boxes = torch.stack([x1, y1, x2, y2], dim=2).float()
    return boxes * visible.any(dim=3).any(dim=2)[:, :, None]


def _texture(n: int, channels: int, size: int, generator: torch.Generator) -> Tensor:
    """Return smooth random spots around 0, (N, channels, size, size)."""
    spots = torch.rand(n, channels, 5, 5, generator=generator) - 0.5
    return 0.3 * F.interpolate(spots, size=(size, size), mode="bicubic", align_corners=True)
