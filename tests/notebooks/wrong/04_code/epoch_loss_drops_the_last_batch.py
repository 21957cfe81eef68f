"""Leaves out the batch that is smaller than the others.

expected: the last batch is missing
"""

from torch.nn import functional as F


def epoch_loss(model, batches):
    full = [(inputs, labels) for inputs, labels in batches if len(labels) == len(batches[0][1])]
    losses = [F.cross_entropy(model(inputs), labels).item() for inputs, labels in full]
    return sum(losses) / len(losses)
