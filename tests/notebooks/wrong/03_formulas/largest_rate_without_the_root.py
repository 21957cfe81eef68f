"""Takes the ratio of two losses for the factor of theta.

expected: take the root of the ratio
"""


def largest_rate(losses, rate):
    shrinks = losses[1] / losses[0]
    return 2 * rate / (1 - shrinks)
