"""Writes the mirrored images over the originals.

expected: The original images were changed
"""

import torch


def mirror_some(x, y, symmetric, generator):
    may = torch.isin(y, torch.tensor(symmetric))
    chosen = may & (torch.rand(len(x), generator=generator) < 0.5)
    x[chosen] = x[chosen].flip(-1)
    return x
