"""Clips every number of a gradient, and not its length.

expected: Each number was clipped
"""

import torch


def private_mean(gradients, clip, noise, batch_size):
    total = gradients.clamp(-clip, clip).sum(dim=0)
    return (total + noise * clip * torch.randn(len(total))) / batch_size
