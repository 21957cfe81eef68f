"""Returns the share of the accused that are members.

expected: the share of the accused
"""

import math


def true_positive_rate(members, others, alpha):
    thresholds = [*others.tolist(), math.inf]
    allowed = [t for t in thresholds if (others < t).double().mean().item() <= alpha]
    found = (members < max(allowed)).sum()
    accused = found + (others < max(allowed)).sum()
    return (found / accused).item()
