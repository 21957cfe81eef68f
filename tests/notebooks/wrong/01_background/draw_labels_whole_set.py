"""Draws from the whole set, whatever the classes are.

expected: A draw from the whole set leaves to chance how many labels a class gets
"""

import torch


def draw_labels(labels, per_class, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randperm(len(labels), generator=generator)[: per_class * len(labels.unique())]
