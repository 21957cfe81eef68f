"""Rounds down and stops short of the budget.

expected: a budget that does not divide evenly is rounded up, not down
"""

import math


def epochs_for(samples, batch_size, steps):
    return steps // math.ceil(samples / batch_size)
