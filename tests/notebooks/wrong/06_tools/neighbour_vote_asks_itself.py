"""Lets every image vote for itself.

expected: An image was its own neighbour
"""

import torch


def neighbour_vote(features, labels, k):
    neighbours = torch.cdist(features, features).topk(k, largest=False).indices
    return (torch.mode(labels[neighbours], dim=1).values == labels).double().mean().item()
