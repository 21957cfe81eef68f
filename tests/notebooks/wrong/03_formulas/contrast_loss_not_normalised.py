"""Takes the product of the projections, without dividing by their lengths.

expected: sim is the cosine: only the direction counts
"""

import torch
from torch.nn import functional as F


def contrast_loss(one, two, temperature):
    n = len(one)
    z = torch.cat([one, two])
    similarity = z @ z.T / temperature
    partner = torch.arange(2 * n).roll(n)
    itself = torch.eye(2 * n, dtype=torch.bool)
    return F.cross_entropy(similarity.masked_fill(itself, -torch.inf), partner)
