"""Draws the new label from all classes, the true one too.

expected: the noise is weaker than you say it is
"""

import torch


def spoil_labels(y, share, num_classes, seed):
    generator = torch.Generator().manual_seed(seed)
    count = round(share * len(y))
    spoiled = y.clone()
    chosen = torch.randperm(len(y), generator=generator)[:count]
    spoiled[chosen] = torch.randint(num_classes, (count,), generator=generator)
    return spoiled
