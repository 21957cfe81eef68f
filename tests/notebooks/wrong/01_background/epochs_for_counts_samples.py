"""Compares the number of samples seen instead of the number of steps.

expected: fewer epochs reach 203
"""

import math


def epochs_for(samples, batch_size, steps):
    return math.ceil(steps * batch_size / samples)
