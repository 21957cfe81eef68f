"""Multiplies both by N.

expected: λ became N times larger
"""


def sum_to_mean(lr, strength, n):
    return lr * n, strength * n
