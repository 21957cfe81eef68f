"""Divides by the number of samples that were drawn.

expected: divided by the number of samples drawn
"""

import torch


def private_mean(gradients, clip, noise, batch_size):
    factors = (clip / gradients.norm(dim=1)).clamp(max=1)
    total = (factors[:, None] * gradients).sum(dim=0)
    return (total + noise * clip * torch.randn(len(total))) / len(gradients)
