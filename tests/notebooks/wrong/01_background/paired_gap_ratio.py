"""Takes the mean of the ratios.

expected: A ratio is no difference
"""

import numpy as np

from transferlab.metrics import interval


def paired_gap(tuned, scratch):
    found = interval(np.asarray(tuned) / np.asarray(scratch) - 1)
    return found.low, found.high
