"""Merges, and leaves the blanks.

expected: The blanks are still there
"""


def read_symbols(scores):
    path = scores.argmax(dim=1).tolist()
    return [s for s, before in zip(path, [None, *path], strict=False) if s != before]
