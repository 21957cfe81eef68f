"""Returns the positions of each class by themselves.

expected: join the groups with torch.cat
"""

import torch


def draw_labels(labels, per_class, seed):
    generator = torch.Generator().manual_seed(seed)
    chosen = []
    for label in labels.unique():
        members = (labels == label).nonzero().flatten()
        chosen.append(members[torch.randperm(len(members), generator=generator)[:per_class]])
    return chosen
