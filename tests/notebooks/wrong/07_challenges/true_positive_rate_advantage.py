"""Subtracts the share of the others that are accused.

expected: this is the advantage
"""

import math


def true_positive_rate(members, others, alpha):
    thresholds = [*others.tolist(), math.inf]
    allowed = [t for t in thresholds if (others < t).double().mean().item() <= alpha]
    return (members < max(allowed)).double().mean().item() - alpha
