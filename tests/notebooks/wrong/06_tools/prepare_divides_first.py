"""Divides by the deviation before it subtracts the mean.

expected: The mean comes first
"""

import torch


def prepare(photos, mean, std):
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (mean, std))
    return photos.permute(0, 3, 1, 2).float() / 255 / std - mean
