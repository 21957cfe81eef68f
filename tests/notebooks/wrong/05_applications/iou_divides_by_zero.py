"""Divides 0 by 0 when both boxes have no area.

expected: Two boxes without area have the IoU NaN
"""

import torch


def iou(one, two):
    upper_left = torch.maximum(one[:, None, :2], two[None, :, :2])
    lower_right = torch.minimum(one[:, None, 2:], two[None, :, 2:])
    width, height = (lower_right - upper_left).clamp(min=0).unbind(dim=2)
    shared = width * height
    areas_one, areas_two = ((b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1]) for b in (one, two))
    covered = areas_one[:, None] + areas_two - shared
    return shared / covered
