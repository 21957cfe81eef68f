"""Puts the interval around the accuracy instead of the difference.

expected: The middle of the interval is 68; expected 3 points
"""

import numpy as np
from scipy import special


def paired_gap(tuned, scratch):
    d = np.asarray(tuned) - np.asarray(scratch)
    half = special.stdtrit(len(d) - 1, 0.975) * np.std(d, ddof=1) / np.sqrt(len(d))
    return np.mean(tuned) - half, np.mean(tuned) + half
