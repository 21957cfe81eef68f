"""Reads the last two numbers as width and height.

expected: were taken for width and height
"""

import torch


def iou(one, two):
    one = torch.cat([one[:, :2], one[:, :2] + one[:, 2:]], dim=1)
    two = torch.cat([two[:, :2], two[:, :2] + two[:, 2:]], dim=1)
    upper_left = torch.maximum(one[:, None, :2], two[None, :, :2])
    lower_right = torch.minimum(one[:, None, 2:], two[None, :, 2:])
    width, height = (lower_right - upper_left).clamp(min=0).unbind(dim=2)
    shared = width * height
    areas_one, areas_two = ((b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1]) for b in (one, two))
    covered = areas_one[:, None] + areas_two - shared
    return shared / covered.clamp(min=1e-9)
