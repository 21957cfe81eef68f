"""Subtracts the fine-tuned side from scratch.

expected: Subtract scratch from tuned
"""

import numpy as np

from transferlab.metrics import interval


def paired_gap(tuned, scratch):
    found = interval(np.asarray(scratch) - np.asarray(tuned))
    return found.low, found.high
