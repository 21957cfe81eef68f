"""Takes the vote for wrong only when all three err.

expected: Two wrong answers are enough
"""


def vote_error(p):
    return p**3
