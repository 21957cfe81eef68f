"""Returns the curvature.

expected: that is the curvature
"""

import math


def largest_rate(losses, rate):
    shrinks = math.sqrt(losses[1] / losses[0])
    return (1 - shrinks) / rate
