"""Mirrors every image that may be mirrored, every time.

expected: Decide for each image by itself
"""

import torch


def mirror_some(x, y, symmetric, generator):
    may = torch.isin(y, torch.tensor(symmetric))
    return torch.where(may[:, None, None, None], x.flip(-1), x)
