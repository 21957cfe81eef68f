"""Correlates the ranks.

expected: Spearman's correlation of the ranks
"""

from scipy.stats import spearmanr


def kendall(a, b):
    return spearmanr(a, b).statistic
