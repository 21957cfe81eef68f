"""Counts along the images, one label for each person.

expected: one label for each row
"""

import torch


def majority_vote(votes, num_classes):
    counts = torch.stack([(votes == number).sum(dim=0) for number in range(num_classes)], dim=1)
    return counts.argmax(dim=1)
