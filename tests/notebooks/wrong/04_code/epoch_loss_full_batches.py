"""Weighs every batch with the size of the first one.

expected: every batch was taken for one of 32 samples
"""

from torch.nn import functional as F


def epoch_loss(model, batches):
    size = len(batches[0][1])
    total = sum(size * F.cross_entropy(model(inputs), labels).item() for inputs, labels in batches)
    return total / sum(len(labels) for _, labels in batches)
