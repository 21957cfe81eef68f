"""Merges into a new layer without a bias.

expected: The merged layer has lost the bias
"""

import torch
from torch import nn


class LowRank(nn.Module):
    def __init__(self, base, rank, alpha):
        super().__init__()
        self.base, self.scale = base.requires_grad_(False), alpha / rank
        self.A = nn.Parameter(torch.randn(rank, base.in_features))
        self.B = nn.Parameter(torch.zeros(base.out_features, rank))

    def forward(self, x):
        return self.base(x) + self.scale * (x @ self.A.T @ self.B.T)

    def merged(self):
        plain = nn.Linear(self.base.in_features, self.base.out_features, bias=False)
        plain.weight = nn.Parameter(self.base.weight + self.scale * (self.B @ self.A))
        return plain
