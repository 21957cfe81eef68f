"""Uses the quantile 0.95, which leaves 5 % on each side.

expected: a 95 % interval leaves 2.5 %
"""

import numpy as np
from scipy import special


def paired_gap(tuned, scratch):
    d = np.asarray(tuned) - np.asarray(scratch)
    half = special.stdtrit(len(d) - 1, 0.95) * np.std(d, ddof=1) / np.sqrt(len(d))
    return d.mean() - half, d.mean() + half
