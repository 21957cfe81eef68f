"""Divides by the number of tokens, which may be 0.

expected: has become NaN: 0 / 0
"""


def text_vectors(tokens, real):
    return (tokens * real[:, :, None]).sum(dim=1) / real.sum(dim=1, keepdim=True)
