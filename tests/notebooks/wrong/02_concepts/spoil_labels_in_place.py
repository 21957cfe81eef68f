"""Changes the labels that it was given.

expected: The true labels were changed in place
"""

import torch


def spoil_labels(y, share, num_classes, seed):
    generator = torch.Generator().manual_seed(seed)
    count = round(share * len(y))
    chosen = torch.randperm(len(y), generator=generator)[:count]
    y[chosen] = (y[chosen] + 1) % num_classes
    return y
