"""Changes the learning rate only.

expected: λ is the old one
"""


def sum_to_mean(lr, strength, n):
    return lr * n, strength
