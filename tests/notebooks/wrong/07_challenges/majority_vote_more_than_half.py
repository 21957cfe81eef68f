"""Asks for more than half of the votes.

expected: even without a half
"""

import torch


def majority_vote(votes, num_classes):
    counts = torch.stack([(votes == number).sum(dim=1) for number in range(num_classes)], dim=1)
    most = counts.max(dim=1)
    return torch.where(2 * most.values > votes.shape[1], most.indices, -1)
