"""Centres the description in place.

expected: changed in place
"""

import torch


def same_photo(description, photo):
    description -= description.mean(dim=0)
    distances = torch.cdist(description, description).fill_diagonal_(torch.inf)
    return (photo[distances.argmin(dim=1)] == photo).float().mean().item()
