"""Looks for equal rates of both errors, whatever they cost.

expected: for a photo album
"""

import math


def cheapest_threshold(same, different, price_match, price_miss, share_same):
    def gap(threshold):
        misses = (same < threshold).double().mean().item()
        return abs(misses - (different >= threshold).double().mean().item())

    return min([0.45, *same.tolist(), *different.tolist(), math.inf], key=gap)
