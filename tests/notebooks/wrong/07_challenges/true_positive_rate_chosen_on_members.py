"""Chooses the threshold on the losses of the members.

expected: on nobody else
"""


def true_positive_rate(members, others, alpha):
    threshold = members.quantile(alpha)
    return (members < threshold).double().mean().item()
