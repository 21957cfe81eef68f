"""Removes the blanks before it merges.

expected: the blanks were removed before
"""


def read_symbols(scores):
    path = scores.argmax(dim=1).tolist()
    path = [symbol for symbol in path if symbol]
    return [s for s, before in zip(path, [0, *path], strict=False) if s != before]
