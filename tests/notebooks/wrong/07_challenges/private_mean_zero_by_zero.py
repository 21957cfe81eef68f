"""Divides by the length of a gradient that is zero.

expected: 0 / 0
"""

import torch


def private_mean(gradients, clip, noise, batch_size):
    lengths = gradients.norm(dim=1, keepdim=True)
    total = (gradients / lengths * lengths.clamp(max=clip)).sum(dim=0)
    return (total + noise * clip * torch.randn(len(total))) / batch_size
