"""Takes the first class where nobody has answered.

expected: an invented label
"""

import torch


def majority_vote(votes, num_classes):
    counts = torch.stack([(votes == number).sum(dim=1) for number in range(num_classes)], dim=1)
    return counts.argmax(dim=1)
