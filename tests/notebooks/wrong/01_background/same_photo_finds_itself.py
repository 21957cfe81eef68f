"""Lets each patch find itself.

expected: Each patch has found itself
"""

import torch


def same_photo(description, photo):
    nearest = torch.cdist(description, description).argmin(dim=1)
    return (photo[nearest] == photo).float().mean().item()
