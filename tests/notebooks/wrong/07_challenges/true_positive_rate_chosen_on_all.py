"""Chooses the threshold on members and non-members together.

expected: on nobody else
"""

import torch


def true_positive_rate(members, others, alpha):
    threshold = torch.cat([members, others]).quantile(alpha)
    return (members < threshold).double().mean().item()
