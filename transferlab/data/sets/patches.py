"""Patches of real pictures: photographs and textures that come with the installed packages.

A patch is cut at a random place and scale, and perhaps mirrored; its label is the picture that it
is from. A handful of pictures gives any number of patches, but they overlap: two of them may be
almost the same. So `part="train"` and `part="test"` are cut from regions that share no pixel.
"""

import functools
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from transferlab.data.dataset import MemoryDataset, as_float
from transferlab.data.sets.cards import Card, cards
from transferlab.data.sets.digits import check_image_size
from transferlab.errors import InputError

PARTS = ("train", "test")
TRAIN_SHARE = 0.75  # the left part of each picture; the rest is for testing
SHORT_SIDE = 400  # large pictures are shrunk by a whole factor until they are near it
SCALES = (1, 2, 3, 4, 6, 8, 12)  # a pixel of a patch is the mean of 1×1, 2×2, … 12×12 pixels
LEAST_VIEW = 24  # a patch covers at least this many pixels of its picture: less is mostly flat
CHUNK = 2048  # patches that are cut at once


def photo_patches(
    n: int,
    seed: int = 0,
    size: int = 32,
    channels: int = 3,
    part: str = "train",
    dtype: torch.dtype = torch.float32,
) -> MemoryDataset:
    """Return `n` patches of nine colour photographs; the label is the photograph.

    Some patches show nothing but sky or blur, which fits several photographs.

    Args:
        size: x has the shape (n, channels, size, size), with values in 0..1.
        channels: 3 keeps the colours, 1 turns them to grey.
        part: "train" cuts from the left three quarters of each picture, "test" from the right
            quarter. Cut upright, both parts have sky and ground.
        dtype: torch.uint8 keeps pixels as 0..255, in a quarter of the memory; `batches` turns
            them into the same floats.
    """
    cutter = _Cutter("photos", size, channels, part, colour=channels == 3)
    return _fixed(cutter, n, seed, dtype)


def textures(
    n: int,
    seed: int = 0,
    size: int = 32,
    channels: int = 1,
    part: str = "train",
    dtype: torch.dtype = torch.float32,
) -> MemoryDataset:
    """Return `n` patches of five grey textures; the arguments are those of `photo_patches`.

    Brick, grass and gravel cover their pictures evenly. Coins lie on a dark ground, and tissue is
    cells under a microscope. `channels=3` repeats the grey image.
    """
    cutter = _Cutter("textures", size, channels, part, colour=False)
    return _fixed(cutter, n, seed, dtype)


def region(card: Card, part: str, colour: bool) -> Tensor:
    """Return the pixels that one part is cut from: uint8, shape (3 or 1, height, width)."""
    with Image.open(card.file()) as image:
        picture = image.convert("RGB" if colour else "L")
    if card.crop is not None:
        picture = picture.crop(card.crop)
    picture = picture.reduce(max(1, min(picture.size) // SHORT_SIDE))
    pixels = torch.from_numpy(np.array(picture)).view(picture.height, picture.width, -1)
    edge = round(TRAIN_SHARE * picture.width)
    pixels = pixels[:, :edge] if part == "train" else pixels[:, edge:]
    return pixels.permute(2, 0, 1)


@dataclass(frozen=True)
class _Atlas:
    """The regions of one part at every scale, one after the other in a long row of pixels.

    The tables have the shape (pictures, len(SCALES)).
    """

    pixels: Tensor  # uint8, shape (all pixels, 3 or 1)
    start: Tensor  # where a region begins in that row
    height: Tensor
    width: Tensor


@functools.cache
def _atlas(name: str, part: str, colour: bool) -> _Atlas:
    maps = []
    for card in cards(name):
        pixels = region(card, part, colour).float()
        # A mean over whole blocks inside the region: no pixel of the other part contributes.
        maps += [F.avg_pool2d(pixels, scale).round().byte() for scale in SCALES]
    counts = torch.tensor([image[0].numel() for image in maps])
    return _Atlas(
        pixels=torch.cat([image.flatten(1).T for image in maps]),
        start=(counts.cumsum(0) - counts).view(-1, len(SCALES)),
        height=torch.tensor([image.shape[1] for image in maps]).view(-1, len(SCALES)),
        width=torch.tensor([image.shape[2] for image in maps]).view(-1, len(SCALES)),
    )


class _Cutter:
    """Cuts patches of one size out of one part of some pictures."""

    def __init__(
        self,
        name: str,
        size: int,
        channels: int,
        part: str,
        colour: bool,
    ) -> None:
        check_image_size(name, size, channels)
        if part not in PARTS:
            raise InputError(f"{name}: part={part!r} is unknown; expected 'train' or 'test'.")
        self.name, self.size, self.channels = name, size, channels
        self.classes = [card.name for card in cards(name)]
        self.atlas = _atlas(name, part, colour)
        # The same scales for all, so that the scale reveals neither the picture nor the part.
        both = [_atlas(name, each, colour) for each in PARTS]
        smallest = min(int(torch.minimum(a.height, a.width)[:, 0].min()) for a in both)
        views = torch.tensor(SCALES) * size
        self.scales = ((views >= LEAST_VIEW) & (views <= smallest)).nonzero().flatten()
        if not len(self.scales):
            raise InputError(
                f"{name}: size={size} is too large for the smallest region; "
                f"expected {smallest} or less."
            )

    def cut(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return n patches, x as uint8 of shape (n, channels, size, size), and their labels.

        The whole batch is one gather: each patch is a table of positions in the atlas.
        """

        def uniform() -> Tensor:
            return torch.rand(n, generator=generator)

        atlas, size = self.atlas, self.size
        y = torch.randint(len(self.classes), (n,), generator=generator)
        scale = self.scales[torch.randint(len(self.scales), (n,), generator=generator)]
        start, width = atlas.start[y, scale], atlas.width[y, scale]
        top = (uniform() * (atlas.height[y, scale] - size + 1)).long()
        left = (uniform() * (width - size + 1)).long()
        mirrored = uniform() < 0.5

        steps = torch.arange(size)
        rows = top[:, None] + steps
        columns = left[:, None] + torch.where(mirrored[:, None], steps.flip(0), steps)
        positions = (start[:, None] + rows * width[:, None])[:, :, None] + columns[:, None, :]
        x = atlas.pixels[positions].permute(0, 3, 1, 2)
        return x.expand(-1, self.channels, -1, -1).contiguous(), y


def _fixed(cutter: _Cutter, n: int, seed: int, dtype: torch.dtype) -> MemoryDataset:
    if n < 1:
        raise InputError(f"{cutter.name}: n={n}; expected at least 1.")
    if dtype not in (torch.float32, torch.uint8):
        raise InputError(f"{cutter.name}: dtype={dtype}; expected torch.float32 or torch.uint8.")
    generator = torch.Generator().manual_seed(seed)
    chunks = [cutter.cut(min(CHUNK, n - start), generator) for start in range(0, n, CHUNK)]
    x, y = (torch.cat(part) for part in zip(*chunks, strict=True))
    x = x if dtype == torch.uint8 else as_float(x)
    return MemoryDataset(x, y, cutter.classes, cutter.name)
