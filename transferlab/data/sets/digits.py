"""Real handwritten digits that come with every scikit-learn installation."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from transferlab.data.dataset import MemoryDataset
from transferlab.data.sets.cards import cards
from transferlab.errors import InputError


def digits(size: int = 8, channels: int = 1) -> MemoryDataset:
    """Return 1,797 handwritten digits, x of shape (1797, channels, size, size) in 0..1.

    The originals are 8×8 pixels: 32×32 bitmaps, summed over blocks of 4×4. Another `size` enlarges
    them smoothly; `channels=3` repeats the grey image, for networks that expect colour.

    Source: Alpaydin and Kaynak, Optical Recognition of Handwritten Digits (1998), UCI Machine
    Learning Repository, CC BY 4.0.
    """
    check_image_size("digits", size, channels)
    # Not sklearn.datasets.load_digits: it returns the same, but takes a second to import.
    [card] = cards("digits")
    raw = np.loadtxt(card.file(), delimiter=",", dtype=np.int64)  # 64 pixels and a label per row
    x = torch.from_numpy(raw[:, :64]).view(-1, 1, 8, 8).float() / 16
    return MemoryDataset(
        enlarge(x, size).expand(-1, channels, -1, -1).contiguous(),
        torch.from_numpy(raw[:, 64].copy()),
        [str(digit) for digit in range(10)],
        "digits",
    )


def check_image_size(name: str, size: int, channels: int) -> None:
    """Refuse sizes and channels that the small embedded images cannot have."""
    if size < 8:
        raise InputError(f"{name}: size={size} is too small; expected 8 or more.")
    if channels not in (1, 3):
        raise InputError(f"{name}: channels={channels}; expected 1 (grey) or 3 (colour).")


def enlarge(x: Tensor, size: int) -> Tensor:
    """Resize images of shape (N, C, H, W) to size×size, values kept in 0..1."""
    if x.shape[-1] == size:
        return x
    return F.interpolate(x, size=(size, size), mode="bicubic", align_corners=False).clamp_(0, 1)
