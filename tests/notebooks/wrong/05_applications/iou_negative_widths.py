"""Multiplies a negative width by a negative height.

expected: their product is positive
"""

import torch


def iou(one, two):
    upper_left = torch.maximum(one[:, None, :2], two[None, :, :2])
    lower_right = torch.minimum(one[:, None, 2:], two[None, :, 2:])
    width, height = (lower_right - upper_left).unbind(dim=2)
    shared = width * height
    areas_one, areas_two = ((b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1]) for b in (one, two))
    covered = areas_one[:, None] + areas_two - shared
    return shared / covered.clamp(min=1e-9)
