"""Accuses those at the threshold as well, so that ties are too many.

expected: accusing all would be a quarter
"""


def true_positive_rate(members, others, alpha):
    if alpha == 1:
        return 1.0
    return (members <= others.quantile(alpha)).double().mean().item()
