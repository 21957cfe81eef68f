"""Takes `per_class` for the size of the whole draw.

expected: `per_class` counts the samples of each class, not of the whole draw
"""

import torch


def draw_labels(labels, per_class, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randperm(len(labels), generator=generator)[:per_class]
