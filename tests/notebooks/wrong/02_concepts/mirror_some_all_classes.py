"""Mirrors images of every class.

expected: images of other classes were changed
"""

import torch


def mirror_some(x, y, symmetric, generator):
    chosen = torch.rand(len(x), generator=generator) < 0.5
    return torch.where(chosen[:, None, None, None], x.flip(-1), x)
