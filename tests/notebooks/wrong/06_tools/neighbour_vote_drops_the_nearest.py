"""Leaves out the nearest entry, taking it for the image itself.

expected: Leave out the image by its place
"""

import torch


def neighbour_vote(features, labels, k):
    nearest = torch.cdist(features, features).topk(k + 1, largest=False).indices[:, 1:]
    return (torch.mode(labels[nearest], dim=1).values == labels).double().mean().item()
