"""Returns the probability that the vote is right.

expected: the vote is right
"""


def vote_error(p):
    return (1 - p) ** 3 + 3 * p * (1 - p) ** 2
