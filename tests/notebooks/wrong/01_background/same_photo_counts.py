"""Counts the patches.

expected: a number from 0 to 1
"""

import torch


def same_photo(description, photo):
    distances = torch.cdist(description, description).fill_diagonal_(torch.inf)
    return (photo[distances.argmin(dim=1)] == photo).sum().item()
