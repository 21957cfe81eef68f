"""Returns a tensor.

expected: a list of Python's whole numbers
"""


def read_symbols(scores):
    path = scores.argmax(dim=1).tolist()
    import torch

    return torch.tensor([symbol for symbol in path if symbol])
