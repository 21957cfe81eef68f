"""Faces: real ones that come with scikit-image, and generated people who do not exist.

A generated identity is a vector of numbers, such as the width of the face and the distance of the
eyes. Images of one identity share that vector; they differ as photos of one person do: in position,
size, tilt, light, mouth and sharpness. No real person is shown, so none can be recognised.
"""

import functools
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from transferlab.data.dataset import FreshDataset, MemoryDataset
from transferlab.data.sets.cards import cards
from transferlab.data.sets.digits import check_image_size
from transferlab.data.sets.generated import labelled
from transferlab.errors import InputError

EACH = 100  # faces; the same number of pictures without a face follow them in the file
SIDE = 25


def faces(size: int = SIDE, channels: int = 1) -> MemoryDataset:
    """Return 100 faces and 100 pictures without one, x of shape (200, channels, size, size).

    Values are in 0..1. The originals are grey, 25×25 pixels; another `size` resizes them smoothly,
    `channels=3` repeats the grey image.

    The faces are those of real people in press photos, who were not asked. There are no names in
    this set, and it must not be used to recognise people. The other 100 are corners of such
    photos. Most are dark or flat, so the task is easy; a few show a piece of a face.

    Source: Huang, Mattar, Lee and Learned-Miller, Learning to Align from Scratch (2012), Labeled
    Faces in the Wild; the subset is scikit-image's.
    """
    check_image_size("faces", size, channels)
    [card] = cards("faces")
    x = read_faces(card.file())
    if size != SIDE:
        # antialias: a smaller image averages all pixels instead of sampling some
        x = F.interpolate(x, size=(size, size), mode="bicubic", antialias=True).clamp_(0, 1)
    return MemoryDataset(
        x.expand(-1, channels, -1, -1).contiguous(),
        torch.arange(2).repeat_interleave(EACH),
        ["face", "no face"],
        "faces",
    )


def read_faces(file: Path) -> Tensor:
    """Read scikit-image's file: shape (200, 1, 25, 25), values in 0..1, the faces first."""
    try:
        raw = np.load(file)
    except (OSError, EOFError, ValueError) as error:
        raise InputError(f"{file} is missing or damaged; expected scikit-image's own.") from error
    if raw.shape != (2 * EACH, SIDE, SIDE):
        raise InputError(f"{file}: found an array of shape {raw.shape}; expected (200, 25, 25).")
    return torch.tensor(raw, dtype=torch.float32)[:, None]


# ---- generated identities ------------------------------------------------------------------------

# What makes an identity, each between two values. Lengths are shares of half the image's height.
TRAITS = {
    "face width": (0.52, 0.78),
    "face height": (0.72, 0.92),
    "jaw": (-0.25, 0.25),  # above 0 the face is narrower below
    "skin": (0.45, 0.9),  # grey values: 0 is black, 1 white
    "hair": (0.0, 0.5),
    "hairline": (-0.75, -0.35),  # above 0 is down, as in images
    "eye height": (-0.25, -0.02),
    "eye distance": (0.18, 0.36),
    "eye width": (0.08, 0.16),
    "eye opening": (0.04, 0.1),
    "brow gap": (0.1, 0.22),
    "brow tilt": (-0.35, 0.35),
    "brow thickness": (0.015, 0.06),
    "nose length": (0.12, 0.34),
    "nose width": (0.03, 0.1),
    "mouth height": (0.3, 0.52),
    "mouth width": (0.12, 0.32),
    "lips": (0.02, 0.07),
}
PEOPLE = 10_000


@functools.cache
def _traits() -> dict[str, Tensor]:
    """Return the traits of all people, each of shape (PEOPLE,): person 7 is always the same."""
    places = torch.rand(len(TRAITS), PEOPLE, generator=torch.Generator().manual_seed(0))
    return {
        name: low + (high - low) * place
        for (name, (low, high)), place in zip(TRAITS.items(), places, strict=True)
    }


def draw_identities(people: Tensor, generator: torch.Generator, size: int = 32) -> Tensor:
    """Draw one new image of each person in `people`, shape (N,); return (N, 1, size, size) in 0..1.

    Every image has its own position, size, tilt, expression, light, contrast, sharpness and noise.
    The drawing consists of soft ellipses, painted one over the other.
    """
    n = len(people)
    person = {name: values[people].view(n, 1, 1) for name, values in _traits().items()}

    def uniform(low: float, high: float) -> Tensor:
        return torch.rand(n, 1, 1, generator=generator) * (high - low) + low

    # Where does each pixel sample the drawing? x to the right, y down, 0 in the middle.
    axis = (torch.arange(size) + 0.5) / size * 2 - 1
    angle, zoom = uniform(-0.2, 0.2), uniform(0.9, 1.15)
    across, down = axis + uniform(-0.12, 0.12), axis[:, None] + uniform(-0.12, 0.12)
    x = zoom * (angle.cos() * across + angle.sin() * down)
    y = zoom * (angle.cos() * down - angle.sin() * across)
    pixel = 2 / size

    def cover(distance: Tensor) -> Tensor:
        """Return how much of each pixel is covered; an edge covers a part of its pixels."""
        return (0.5 - distance / pixel).clamp(0, 1)

    def ellipse(dx: Tensor, dy: Tensor, width: Tensor, height: Tensor) -> Tensor:
        """Return about the distance to the edge of an ellipse, negative inside."""
        reach = torch.hypot(dx / width, dy / height)
        return (reach - 1) * torch.minimum(width, height)

    def paint(image: Tensor, where: Tensor, grey: Tensor | float) -> Tensor:
        return image + where * (grey - image)

    skin, hair = person["skin"], person["hair"]
    half_width = person["face width"] * (1 - person["jaw"] * y)
    head = ellipse(x, y, half_width, person["face height"])
    image = uniform(0.1, 0.9) + uniform(-0.2, 0.2) * x  # the background
    image = paint(image, cover(head - 0.1) * cover(y - 0.1), hair)  # around the face, down to ears
    image = paint(image, cover(head), skin)
    image = paint(image, cover(head) * cover(y - person["hairline"]), hair)

    # |x| is measured from the middle, so both eyes, and both brows, are drawn at once.
    side = x.abs() - person["eye distance"]
    level = y - person["eye height"]
    opening = person["eye opening"] * uniform(0.6, 1.2)
    image = paint(image, cover(ellipse(side, level, person["eye width"], opening)), 0.1)
    brow = level + person["brow gap"] + uniform(-0.03, 0.03) + person["brow tilt"] * side
    brow = ellipse(side, brow, 1.3 * person["eye width"], person["brow thickness"])
    image = paint(image, cover(brow), 0.7 * hair)

    nose = level - person["nose length"]
    nose = ellipse(x, nose, person["nose width"], torch.full_like(nose, 0.05))
    image = paint(image, 0.6 * cover(nose), 0.4 * skin)

    smile, open_mouth = uniform(-0.6, 1.2), uniform(1.0, 2.0)
    mouth = y - person["mouth height"] + smile * x.square()
    mouth = ellipse(x, mouth, person["mouth width"], person["lips"] * open_mouth)
    image = paint(image, cover(mouth), 0.35 * skin)

    # The light: brighter on one side, more or less contrast, blur, noise.
    direction = uniform(-math.pi, math.pi)
    light = 1 + uniform(0.0, 0.35) * (direction.cos() * x + direction.sin() * y)
    image = 0.5 + (image * light - 0.5) * uniform(0.6, 1.1) + uniform(-0.12, 0.12)
    image = image[:, None]  # (N, 1, size, size)
    blurred = F.avg_pool2d(F.pad(image, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    image = torch.lerp(image, blurred, uniform(0, 1)[:, None])
    image = image + 0.03 * torch.randn(image.shape, generator=generator)
    return image.clamp_(0, 1)


def identities(people: Sequence[int], each: int, seed: int = 0, size: int = 32) -> MemoryDataset:
    """Return `each` images of every person in `people`; the label is the position in that list.

    Args:
        people: numbers from 0 to 9,999, such as `range(0, 300)`. A number is one person in every
            call: two ranges that share no number share no person.
        each: how many images of each person.
        seed: draws the images; the people stay the same.
        size: x has the shape (len(people) · each, 1, size, size), with values in 0..1.
    """
    if each < 1:
        raise InputError(f"identities: each={each}; expected at least 1 image of each person.")
    numbers = _numbers(people)
    check_image_size("identities", size, 1)
    y = torch.arange(len(numbers)).repeat_interleave(each)
    generator = torch.Generator().manual_seed(seed)
    x = torch.cat([draw_identities(part, generator, size) for part in numbers[y].split(1024)])
    return MemoryDataset(x, y, _names(numbers), "identities")


def fresh_identities(people: Sequence[int], samples: int = 25_600, size: int = 32) -> FreshDataset:
    """Return images of some people that are drawn anew for every batch; see `identities`."""
    numbers = _numbers(people)
    check_image_size("identities", size, 1)

    def draw(y: Tensor, generator: torch.Generator) -> Tensor:
        return draw_identities(numbers[y], generator, size)

    names = _names(numbers)
    return FreshDataset(labelled(draw, len(numbers)), samples, names, "fresh identities")


def _numbers(people: Sequence[int]) -> Tensor:
    numbers = torch.tensor(list(people), dtype=torch.int64)
    if not len(numbers) or numbers.min() < 0 or numbers.max() >= PEOPLE:
        raise InputError(
            f"identities: found people={people}; expected at least one number, "
            f"each from 0 to {PEOPLE - 1}."
        )
    return numbers


def _names(numbers: Tensor) -> list[str]:
    return [f"person {number}" for number in numbers.tolist()]
