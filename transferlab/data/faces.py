"""Real faces, and background without a face, that scikit-image carries."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from transferlab.data.carried import FACES
from transferlab.data.dataset import MemoryDataset
from transferlab.data.digits import check_image_size
from transferlab.errors import InputError

EACH = 100  # faces; as many pictures without a face follow them in the file
SIDE = 25


def faces(size: int = SIDE, channels: int = 1) -> MemoryDataset:
    """Return 100 faces and 100 pictures without one, x of shape (200, channels, size, size).

    Values are in 0..1. The originals are grey, 25×25 pixels; another `size` resizes them smoothly,
    `channels=3` repeats the grey image.

    The faces are those of real people in press photos, who were not asked. There are no names in
    this set, and it must not be used to recognise anybody. The other 100 are corners of such
    photos. Most are dark or flat, so the task is easy; a few show a piece of a face.

    Source: Huang, Mattar, Lee and Learned-Miller, Learning to Align from Scratch (2012), Labeled
    Faces in the Wild; the subset is scikit-image's.
    """
    check_image_size("faces", size, channels)
    x = read_faces(FACES.file())
    if size != SIDE:
        # antialias: a smaller image is a mean of all pixels, not a choice of some
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
