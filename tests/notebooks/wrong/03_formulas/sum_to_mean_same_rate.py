"""Changes λ only.

expected: The learning rate is the old one
"""


def sum_to_mean(lr, strength, n):
    return lr, strength / n
