"""Lets the anchor be among its own candidates.

expected: log(2N). Expected is log(2N − 1)
"""

import torch
from torch.nn import functional as F


def contrast_loss(one, two, temperature):
    n = len(one)
    z = F.normalize(torch.cat([one, two]), dim=1)
    similarity = z @ z.T / temperature
    partner = torch.arange(2 * n).roll(n)
    return F.cross_entropy(similarity, partner)
