"""Reshapes the photos, where axes should be exchanged.

expected: The pixels are scrambled
"""

import torch


def prepare(photos, mean, std):
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (mean, std))
    n, height, width, _ = photos.shape
    return (photos.reshape(n, 3, height, width) / 255 - mean) / std
