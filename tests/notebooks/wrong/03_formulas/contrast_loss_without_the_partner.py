"""Sums over the negatives only.

expected: the partner belongs into the sum as well
"""

import torch
from torch.nn import functional as F


def contrast_loss(one, two, temperature):
    n = len(one)
    z = F.normalize(torch.cat([one, two]), dim=1)
    similarity = z @ z.T / temperature
    partner = torch.arange(2 * n).roll(n)
    weights = similarity.exp() * (1 - torch.eye(2 * n))
    pair = weights[torch.arange(2 * n), partner]
    return -(pair / (weights.sum(1) - pair)).log().mean()
