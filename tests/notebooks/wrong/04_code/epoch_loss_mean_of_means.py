"""Divides the sum of the batches' means by the number of batches.

expected: the mean of three means
"""

from torch.nn import functional as F


def epoch_loss(model, batches):
    losses = [F.cross_entropy(model(inputs), labels).item() for inputs, labels in batches]
    return sum(losses) / len(losses)
