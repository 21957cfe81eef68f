"""Divides by all pairs, those with ties as well.

expected: still counted below the line
"""

import itertools


def kendall(a, b):
    pairs = list(itertools.combinations(range(len(a)), 2))
    products = [(a[i] - a[j]) * (b[i] - b[j]) for i, j in pairs]
    return (sum(p > 0 for p in products) - sum(p < 0 for p in products)) / len(pairs)
