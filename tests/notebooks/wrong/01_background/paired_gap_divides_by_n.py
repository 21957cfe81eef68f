"""Leaves out ddof=1.

expected: np.std divides by n unless it is told ddof=1
"""

import numpy as np
from scipy import special


def paired_gap(tuned, scratch):
    d = np.asarray(tuned) - np.asarray(scratch)
    half = special.stdtrit(len(d) - 1, 0.975) * np.std(d) / np.sqrt(len(d))
    return d.mean() - half, d.mean() + half
