"""Draws one number and adds it everywhere.

expected: The same number was added
"""

import torch


def private_mean(gradients, clip, noise, batch_size):
    factors = (clip / gradients.norm(dim=1)).clamp(max=1)
    total = (factors[:, None] * gradients).sum(dim=0)
    return (total + noise * clip * torch.randn(1)) / batch_size
