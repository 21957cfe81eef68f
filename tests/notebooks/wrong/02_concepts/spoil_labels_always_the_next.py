"""Replaces every chosen label by the next class.

expected: A network can learn a fixed exchange of names
"""

import torch


def spoil_labels(y, share, num_classes, seed):
    generator = torch.Generator().manual_seed(seed)
    count = round(share * len(y))
    spoiled = y.clone()
    chosen = torch.randperm(len(y), generator=generator)[:count]
    spoiled[chosen] = (y[chosen] + 1) % num_classes
    return spoiled
