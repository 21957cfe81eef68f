"""Shuffles with the global generator, which goes on from call to call.

expected: Nobody can repeat such a run
"""

import torch


def draw_labels(labels, per_class, seed):
    chosen = []
    for label in labels.unique():
        members = (labels == label).nonzero().flatten()
        chosen.append(members[torch.randperm(len(members))[:per_class]])
    return torch.cat(chosen)
