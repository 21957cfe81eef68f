"""Divides both by N.

expected: The learning rate became smaller
"""


def sum_to_mean(lr, strength, n):
    return lr / n, strength / n
