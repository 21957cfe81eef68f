"""Correlates the numbers, where only their order should count.

expected: Only the order counts
"""

import numpy as np


def kendall(a, b):
    return np.corrcoef(a, b)[0, 1]
