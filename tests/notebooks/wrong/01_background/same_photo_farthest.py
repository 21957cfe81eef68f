"""Takes the farthest patch.

expected: Expected is 2 / 5
"""

import torch


def same_photo(description, photo):
    farthest = torch.cdist(description, description).argmax(dim=1)
    return (photo[farthest] == photo).float().mean().item()
