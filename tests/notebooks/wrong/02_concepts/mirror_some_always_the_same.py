"""Has a seed of its own, and so the same chance in every call.

expected: Two calls mirror the same images
"""

import torch


def mirror_some(x, y, symmetric, generator):
    own = torch.Generator().manual_seed(0)
    may = torch.isin(y, torch.tensor(symmetric))
    chosen = may & (torch.rand(len(x), generator=own) < 0.5)
    return torch.where(chosen[:, None, None, None], x.flip(-1), x)
