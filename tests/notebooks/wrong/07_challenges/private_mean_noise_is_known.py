"""Fixes the seed, so that the noise is the same at every call.

expected: the same noise every time
"""

import torch


def private_mean(gradients, clip, noise, batch_size):
    factors = (clip / gradients.norm(dim=1)).clamp(max=1)
    total = (factors[:, None] * gradients).sum(dim=0)
    torch.manual_seed(0)
    return (total + noise * clip * torch.randn(len(total))) / batch_size
