"""Reports the accuracy on the copies.

expected: the accuracy on the copies
"""

import torch


def without_copies(train, test, right):
    differences = torch.cdist(test.flatten(1), train.flatten(1), p=torch.inf)
    copied = (differences <= 0.05).any(dim=1)
    return int(copied.sum()), 100 * right[copied].float().mean().item()
