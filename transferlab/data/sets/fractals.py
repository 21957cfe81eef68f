"""Generated fractals: images made by formulas, labelled with the formula that made them.

A few maps that shrink the plane, applied again and again in random order, draw a fractal. The maps
are the class. No photographs and no human labels are involved, yet the source below found that a
network which learns to classify the formulas learns features that serve for photographs too.

Sources: Barnsley, Fractals Everywhere (1988), for the chaos game; Kataoka et al., Pre-training
without Natural Images (2020), for the idea of one class per formula.
"""

import functools
import math

import torch
from torch import Tensor
from torch.nn import functional as F

from transferlab.data.dataset import MemoryDataset
from transferlab.data.sets.digits import check_image_size
from transferlab.data.sets.generated import colours, labelled, pool
from transferlab.errors import InputError

FORMULA_SEED = 2020  # the formulas are the same in every call; only their instances differ
MAPS = 4  # the most maps in one formula; the fewest are 2
FILL = (0.15, 0.45)  # share of the image that a fractal of a class covers: no dust, no blob
BITMAP = 32  # small images are drawn at this size and averaged over blocks, as `digits` were
WALKERS = 64  # points that play the chaos game in parallel in each image
BURN_IN = 16  # first steps, which are not drawn
SIDES = 32  # of the game's die; each map of an image gets a share of sides by its weight
# How an image changes the six numbers of each map of its formula, at most: angles by radians,
# shrinking and moving by a share of themselves. The maps of an instance shrink too.
TURN = (0.3, 0, 0, 0.3, 0, 0)
STRETCH = (0, 0.1, 0.1, 0, 0.25, 0.25)


@functools.cache
def _formulas(classes: int) -> tuple[Tensor, Tensor]:
    """Return the maps (classes, MAPS, 6) and the weights (classes, MAPS) of the first formulas.

    The six numbers of a map: turn by the first angle, shrink along x and along y by two factors,
    turn by the second angle, move along x and y.
    """
    generator = torch.Generator().manual_seed(FORMULA_SEED)
    kept: list[tuple[Tensor, Tensor]] = []
    count = 0
    while count < classes:
        maps, weights = _candidates(256, generator)
        fill = _draw_points(_play(maps, weights, 4 * BITMAP**2, generator), BITMAP).mean((1, 2, 3))
        good = (fill > FILL[0]) & (fill < FILL[1])
        kept.append((maps[good], weights[good]))
        count += int(good.sum())
    maps, weights = (torch.cat(part)[:classes] for part in zip(*kept, strict=True))
    return maps, weights


def _candidates(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw n formulas of 2 to MAPS maps, without looking at what they draw."""

    def uniform(low: float, high: float) -> Tensor:
        return torch.rand(n, MAPS, generator=generator) * (high - low) + low

    angles = uniform(-math.pi, math.pi), uniform(-math.pi, math.pi)
    wide, narrow = uniform(0.3, 0.85), uniform(0.1, 0.85)
    maps = torch.stack([angles[0], wide, narrow, angles[1], uniform(-1, 1), uniform(-1, 1)], dim=2)
    # A map that keeps much of the area gets many of the points, else its part stays thin.
    weights = wide * narrow + 0.05
    count = torch.randint(2, MAPS + 1, (n, 1), generator=generator)
    return maps, weights * (torch.arange(MAPS) < count)


def _play(maps: Tensor, weights: Tensor, points: int, generator: torch.Generator) -> Tensor:
    """Play the chaos game: each walker moves by a map that is drawn anew for each step.

    Args:
        maps: shape (N, MAPS, 6), as in `_formulas`.
        weights: how often each map is drawn, shape (N, MAPS), any positive scale.
        points: how many points each image gets, about.

    Returns:
        x and y of the points, shape (2, N, points).
    """
    n, steps = len(maps), math.ceil(points / WALKERS)
    first, wide, narrow, second, move_x, move_y = maps.unbind(2)
    cos1, sin1, cos2, sin2 = first.cos(), first.sin(), second.cos(), second.sin()
    # Turn, shrink and turn multiplied out: (x, y) → (ax + by, cx + dy).
    a, b = wide * cos2 * cos1 - narrow * sin2 * sin1, -wide * cos2 * sin1 - narrow * sin2 * cos1
    c, d = wide * sin2 * cos1 + narrow * cos2 * sin1, -wide * sin2 * sin1 + narrow * cos2 * cos1
    limits = (weights / weights.sum(1, keepdim=True)).cumsum(1)
    middles = (torch.arange(SIDES) + 0.5) / SIDES
    on_side = (middles[:, None] > limits[:, None]).sum(2).clamp_max(MAPS - 1)  # (N, SIDES)
    die = [number.gather(1, on_side) for number in (a, b, c, d, move_x, move_y)]

    # Wherever a walker starts, the maps pull it onto the fractal within a few steps.
    x = y = torch.zeros(n, WALKERS)
    drawn = torch.empty(2, n, steps, WALKERS)
    for step in range(-BURN_IN, steps):
        thrown = torch.randint(SIDES, (n, WALKERS), generator=generator)
        a, b, c, d, e, f = (number.gather(1, thrown) for number in die)
        x, y = a * x + b * y + e, c * x + d * y + f
        if step >= 0:
            drawn[0, :, step], drawn[1, :, step] = x, y
    return drawn.flatten(2)


def _draw_points(points: Tensor, size: int) -> Tensor:
    """Draw points (2, N, P), enlarged to touch two borders, as white pixels (N, 1, size, size)."""
    low, high = points.aminmax(dim=2, keepdim=True)
    half = (high - low).amax(0) / 2  # the longer side; both axes are scaled alike
    scaled = (points - (low + high) / 2) / half.clamp_min(1e-6)  # -1..1
    column, row = (scaled * (0.499 * size) + size / 2).long()
    image = torch.zeros(points.shape[1], size * size)
    image.scatter_(1, row * size + column, 1.0)
    return image.view(-1, 1, size, size)


def draw_fractals(
    y: Tensor, generator: torch.Generator, size: int = 8, channels: int = 1, classes: int = 50
) -> Tensor:
    """Draw one new fractal for each label in `y`, shape (N,); return (N, channels, size, size).

    Every image changes the numbers of its formula a little, is mirrored or not, and, in colour,
    has its own foreground and background.
    """

    def noise(*shape: int) -> Tensor:  # uniform in -1..1
        return 2 * torch.rand(len(y), *shape, generator=generator) - 1

    maps, weights = (part[y] for part in _formulas(classes))
    each = noise(MAPS, 6)
    maps = maps * (1 + torch.tensor(STRETCH) * each) + torch.tensor(TURN) * each
    weights = weights * (1 + 0.5 * noise(MAPS))
    canvas = max(BITMAP, size)
    mirror = 2 * torch.randint(2, (2, len(y), 1), generator=generator) - 1
    points = _play(maps, weights, 2 * canvas**2, generator) * mirror
    image = F.adaptive_avg_pool2d(_draw_points(points, canvas), size)
    if channels == 1:
        return image
    ink, paper = colours(len(y), 2, channels, generator).unbind(1)
    return torch.lerp(paper, ink, image)


def fractals(
    n: int, seed: int = 0, size: int = 8, channels: int = 1, classes: int = 50
) -> MemoryDataset:
    """Return `n` fractals, x of shape (n, channels, size, size) in 0..1; label = the formula.

    The formulas do not depend on `seed`: two calls share their classes and differ in the instances.
    Class 7 of 50 is class 7 of 1,000 too. One `n` and `seed` are one set; another `n` is another
    draw, not a longer one.
    """
    check_image_size("fractals", size, channels)
    if classes < 2:
        raise InputError(f"fractals: classes={classes}; expected at least 2.")

    def draw(y: Tensor, generator: torch.Generator) -> Tensor:
        return draw_fractals(y, generator, size, channels, classes)

    names = [f"formula {number}" for number in range(classes)]
    chunk = max(1, 1024 * BITMAP**2 // max(BITMAP, size) ** 2)  # larger images, fewer at once
    return pool(labelled(draw, classes), n, seed, names, "fractals", chunk)
