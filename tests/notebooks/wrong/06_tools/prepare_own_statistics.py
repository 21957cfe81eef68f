"""Takes mean and deviation from the photos at hand.

expected: Mean and deviation were taken from these photos
"""

import torch


def prepare(photos, mean, std):
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (mean, std))
    x = photos.permute(0, 3, 1, 2).float() / 255
    return (x - x.mean((0, 2, 3), keepdim=True)) / x.std((0, 2, 3), keepdim=True)
