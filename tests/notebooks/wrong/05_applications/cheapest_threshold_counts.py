"""Counts errors in the lists that were tried.

expected: And the rates count
"""

import math


def cheapest_threshold(same, different, price_match, price_miss, share_same):
    def price(threshold):
        misses, matches = (same < threshold).sum(), (different >= threshold).sum()
        return share_same * misses * price_miss + (1 - share_same) * matches * price_match

    return min([*same.tolist(), *different.tolist(), math.inf], key=price)
