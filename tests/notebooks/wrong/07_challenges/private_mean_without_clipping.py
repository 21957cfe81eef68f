"""Adds noise, but clips nothing.

expected: Nothing was clipped
"""

import torch


def private_mean(gradients, clip, noise, batch_size):
    total = gradients.sum(dim=0)
    return (total + noise * clip * torch.randn(len(total))) / batch_size
