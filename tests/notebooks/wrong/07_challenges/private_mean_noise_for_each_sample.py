"""Adds noise to every sample instead of to the sum.

expected: Every sample got noise of its own
"""

import torch


def private_mean(gradients, clip, noise, batch_size):
    factors = (clip / gradients.norm(dim=1)).clamp(max=1)
    clipped = factors[:, None] * gradients
    return (clipped + noise * clip * torch.randn_like(clipped)).sum(dim=0) / batch_size
