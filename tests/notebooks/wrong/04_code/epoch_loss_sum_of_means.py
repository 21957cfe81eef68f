"""Adds up the means of the batches.

expected: grows with the number of batches
"""

from torch.nn import functional as F


def epoch_loss(model, batches):
    return sum(F.cross_entropy(model(inputs), labels).item() for inputs, labels in batches)
