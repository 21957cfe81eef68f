"""Looks at one pair of people only.

expected: three pairs of people
"""


def vote_error(p):
    return p**2
