"""Puts together the spreads of the two sides, as if the runs had nothing in common.

expected: The sides are not paired
"""

import numpy as np
from scipy import special


def paired_gap(tuned, scratch):
    n = len(tuned)
    variance = np.var(tuned, ddof=1) / n + np.var(scratch, ddof=1) / n
    half = special.stdtrit(n - 1, 0.975) * np.sqrt(variance)
    gap = np.mean(tuned) - np.mean(scratch)
    return gap - half, gap + half
