"""Makes tensors that want a gradient, but are no parameters.

expected: A plain tensor is no parameter
"""

import copy

import torch
from torch import nn


class LowRank(nn.Module):
    def __init__(self, base, rank, alpha):
        super().__init__()
        self.base, self.scale = base.requires_grad_(False), alpha / rank
        self.A = torch.randn(rank, base.in_features, requires_grad=True)
        self.B = torch.zeros(base.out_features, rank, requires_grad=True)

    def forward(self, x):
        return self.base(x) + self.scale * (x @ self.A.T @ self.B.T)

    def merged(self):
        plain = copy.deepcopy(self.base)
        with torch.no_grad():
            plain.weight += self.scale * (self.B @ self.A)
        return plain
