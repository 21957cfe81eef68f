"""Leaves the base open to the optimizer.

expected: With the base open this is full fine-tuning
"""

import copy

import torch
from torch import nn


class LowRank(nn.Module):
    def __init__(self, base, rank, alpha):
        super().__init__()
        self.base, self.scale = base, alpha / rank
        self.A = nn.Parameter(torch.randn(rank, base.in_features))
        self.B = nn.Parameter(torch.zeros(base.out_features, rank))

    def forward(self, x):
        return self.base(x) + self.scale * (x @ self.A.T @ self.B.T)

    def merged(self):
        plain = copy.deepcopy(self.base)
        with torch.no_grad():
            plain.weight += self.scale * (self.B @ self.A)
        return plain
