"""Divides first, and adds the noise of the sum to the mean.

expected: after the division by B
"""

import torch


def private_mean(gradients, clip, noise, batch_size):
    factors = (clip / gradients.norm(dim=1)).clamp(max=1)
    total = (factors[:, None] * gradients).sum(dim=0)
    return total / batch_size + noise * clip * torch.randn(len(total))
