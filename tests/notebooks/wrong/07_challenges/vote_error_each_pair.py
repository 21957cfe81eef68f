"""Adds the three pairs, and counts the case of three errors three times.

expected: once for every pair
"""


def vote_error(p):
    return 3 * p**2
