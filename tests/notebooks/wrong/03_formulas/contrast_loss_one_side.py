"""Takes the first views as anchors only.

expected: those of `two` as well
"""

import torch
from torch.nn import functional as F


def contrast_loss(one, two, temperature):
    n = len(one)
    z = F.normalize(torch.cat([one, two]), dim=1)
    similarity = z @ z.T / temperature
    partner = torch.arange(2 * n).roll(n)
    itself = torch.eye(2 * n, dtype=torch.bool)
    return F.cross_entropy(similarity.masked_fill(itself, -torch.inf)[:n], partner[:n])
