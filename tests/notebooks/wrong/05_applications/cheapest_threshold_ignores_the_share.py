"""Takes the two kinds of pairs for equally frequent.

expected: that is not the share in use
"""

import math


def cheapest_threshold(same, different, price_match, price_miss, share_same):
    def price(threshold):
        misses = (same < threshold).double().mean().item()
        return misses * price_miss + (different >= threshold).double().mean().item() * price_match

    return min([*same.tolist(), *different.tolist(), math.inf], key=price)
