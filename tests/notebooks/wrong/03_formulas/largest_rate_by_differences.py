"""Looks at how much the loss falls, not by which factor.

expected: rates below
"""


def largest_rate(losses, rate):
    shrinks = losses[0] - losses[1]
    return 2 * rate / shrinks
