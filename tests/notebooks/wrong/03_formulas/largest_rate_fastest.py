"""Takes the rate that arrives in one step for the largest one.

expected: It is the fastest one
"""

import math


def largest_rate(losses, rate):
    shrinks = math.sqrt(losses[1] / losses[0])
    return rate / (1 - shrinks)
