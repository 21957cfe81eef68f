"""Accuses the samples with the largest losses.

expected: has a small loss
"""


def true_positive_rate(members, others, alpha):
    threshold = others.quantile(1 - alpha)
    return (members > threshold).double().mean().item()
