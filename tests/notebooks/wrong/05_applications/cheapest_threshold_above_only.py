"""Accepts only what lies above the threshold.

expected: who has *at least* the threshold
"""

import math


def cheapest_threshold(same, different, price_match, price_miss, share_same):
    def price(threshold):
        misses = (same <= threshold).double().mean().item()
        matches = (different > threshold).double().mean().item()
        return share_same * misses * price_miss + (1 - share_same) * matches * price_match

    return min([*same.tolist(), *different.tolist(), math.inf], key=price)
