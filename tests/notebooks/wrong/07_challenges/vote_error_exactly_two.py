"""Leaves out the case that all three err.

expected: exactly two err
"""


def vote_error(p):
    return 3 * p**2 * (1 - p)
