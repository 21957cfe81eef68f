"""Takes the largest product for the smallest distance.

expected: A long description is not a near one
"""

import torch


def same_photo(description, photo):
    products = (description @ description.T).fill_diagonal_(-torch.inf)
    return (photo[products.argmax(dim=1)] == photo).float().mean().item()
