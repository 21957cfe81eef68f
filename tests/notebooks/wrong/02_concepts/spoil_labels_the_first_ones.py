"""Spoils the first labels of the set.

expected: All wrong labels stand together
"""

import torch


def spoil_labels(y, share, num_classes, seed):
    generator = torch.Generator().manual_seed(seed)
    count = round(share * len(y))
    spoiled = y.clone()
    spoiled[:count] += torch.randint(1, num_classes, (count,), generator=generator)
    return spoiled % num_classes
