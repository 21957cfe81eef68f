"""Divides by zero when a list has no order.

expected: there is no order to compare
"""

import itertools
import math


def kendall(a, b):
    pairs = list(itertools.combinations(range(len(a)), 2))
    products = [(a[i] - a[j]) * (b[i] - b[j]) for i, j in pairs]
    above = sum(p > 0 for p in products) - sum(p < 0 for p in products)
    pairs_a = sum(a[i] != a[j] for i, j in pairs)
    pairs_b = sum(b[i] != b[j] for i, j in pairs)
    return above / math.sqrt(pairs_a * pairs_b)
