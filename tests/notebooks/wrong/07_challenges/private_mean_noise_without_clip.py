"""Takes noise of the deviation σ, whatever C is.

expected: expected is σ C / B
"""

import torch


def private_mean(gradients, clip, noise, batch_size):
    factors = (clip / gradients.norm(dim=1)).clamp(max=1)
    total = (factors[:, None] * gradients).sum(dim=0)
    return (total + noise * torch.randn(len(total))) / batch_size
