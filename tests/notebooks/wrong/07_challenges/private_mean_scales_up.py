"""Gives every gradient the length C, also those that are shorter.

expected: Clipping never scales up
"""

import torch


def private_mean(gradients, clip, noise, batch_size):
    total = (clip * gradients / gradients.norm(dim=1, keepdim=True)).sum(dim=0)
    return (total + noise * clip * torch.randn(len(total))) / batch_size
