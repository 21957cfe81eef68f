"""Counts an image as right when any neighbour has its label.

expected: One friendly neighbour is not enough
"""

import torch


def neighbour_vote(features, labels, k):
    distances = torch.cdist(features, features).fill_diagonal_(torch.inf)
    neighbours = distances.topk(k, largest=False).indices
    return (labels[neighbours] == labels[:, None]).any(1).double().mean().item()
