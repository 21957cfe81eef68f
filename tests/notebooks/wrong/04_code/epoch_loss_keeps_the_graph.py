"""Adds up tensors instead of numbers.

expected: holds the graph of every batch in memory
"""

from torch.nn import functional as F


def epoch_loss(model, batches):
    total = sum(F.cross_entropy(model(x), y, reduction="sum") for x, y in batches)
    return total / sum(len(y) for _, y in batches)
