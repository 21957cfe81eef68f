"""Takes the standard deviation for the standard error.

expected: the mean of n runs varies less
"""

import numpy as np
from scipy import special


def paired_gap(tuned, scratch):
    d = np.asarray(tuned) - np.asarray(scratch)
    half = special.stdtrit(len(d) - 1, 0.975) * np.std(d, ddof=1)
    return d.mean() - half, d.mean() + half
