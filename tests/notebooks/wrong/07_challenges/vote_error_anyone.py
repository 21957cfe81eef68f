"""Takes the vote for wrong as soon as anyone errs.

expected: or the probability that anyone errs
"""


def vote_error(p):
    return 1 - (1 - p) ** 3
