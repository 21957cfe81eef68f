"""Uses 1.96, which is right for hundreds of runs.

expected: three runs need Student's t
"""

import numpy as np


def paired_gap(tuned, scratch):
    d = np.asarray(tuned) - np.asarray(scratch)
    half = 1.96 * np.std(d, ddof=1) / np.sqrt(len(d))
    return d.mean() - half, d.mean() + half
