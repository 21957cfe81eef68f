"""Looks at the mean difference of the pixels.

expected: may still be other digits
"""

import torch


def without_copies(train, test, right):
    differences = torch.cdist(test.flatten(1), train.flatten(1), p=1) / 64
    copied = (differences <= 0.1).any(dim=1)
    return int(copied.sum()), 100 * right[~copied].float().mean().item()
