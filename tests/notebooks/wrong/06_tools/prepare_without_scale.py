"""Leaves the pixels in 0..255.

expected: not scaled to 0..1 first
"""

import torch


def prepare(photos, mean, std):
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (mean, std))
    return (photos.permute(0, 3, 1, 2).float() - mean) / std
