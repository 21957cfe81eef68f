"""Takes only the losses of the non-members as thresholds, whatever α is.

expected: The largest threshold is no loss
"""


def true_positive_rate(members, others, alpha):
    losses = others.sort().values
    threshold = losses[min(int(alpha * len(others)), len(others) - 1)]
    return (members < threshold).double().mean().item()
