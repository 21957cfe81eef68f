"""Writes the quantile of three runs into the code.

expected: Let n be the number of runs everywhere
"""

import numpy as np


def paired_gap(tuned, scratch):
    d = np.asarray(tuned) - np.asarray(scratch)
    half = 4.302653 * np.std(d, ddof=1) / np.sqrt(len(d))
    return d.mean() - half, d.mean() + half
