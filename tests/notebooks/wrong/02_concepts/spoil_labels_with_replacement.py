"""May choose the same sample twice.

expected: some samples were chosen twice
"""

import torch


def spoil_labels(y, share, num_classes, seed):
    generator = torch.Generator().manual_seed(seed)
    count = round(share * len(y))
    spoiled = y.clone()
    chosen = torch.randint(len(y), (count,), generator=generator)
    spoiled[chosen] = y[chosen] + torch.randint(1, num_classes, (count,), generator=generator)
    return spoiled % num_classes
