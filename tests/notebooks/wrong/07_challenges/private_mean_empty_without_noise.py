"""Returns zero for an empty batch, without noise.

expected: For an empty batch the noise is missing
"""

import torch


def private_mean(gradients, clip, noise, batch_size):
    if len(gradients) == 0:
        return torch.zeros(gradients.shape[1])
    factors = (clip / gradients.norm(dim=1)).clamp(max=1)
    total = (factors[:, None] * gradients).sum(dim=0)
    return (total + noise * clip * torch.randn(len(total))) / batch_size
