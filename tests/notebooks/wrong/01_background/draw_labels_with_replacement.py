"""Draws with replacement, so that one image may count as several labels.

expected: A sample that is drawn twice is one label, not two
"""

import torch


def draw_labels(labels, per_class, seed):
    generator = torch.Generator().manual_seed(seed)
    chosen = []
    for label in labels.unique():
        members = (labels == label).nonzero().flatten()
        chosen.append(members[torch.randint(len(members), (per_class,), generator=generator)])
    return torch.cat(chosen)
