"""Clips the sum over the batch instead of each sample.

expected: The sum was clipped, not the samples
"""

import torch


def private_mean(gradients, clip, noise, batch_size):
    total = gradients.sum(dim=0)
    total = total * (clip / total.norm()).clamp(max=1)
    return (total + noise * clip * torch.randn(len(total))) / batch_size
