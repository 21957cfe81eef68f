"""Removes the blanks, and does not merge.

expected: Repeats were not merged
"""


def read_symbols(scores):
    path = scores.argmax(dim=1).tolist()
    return [symbol for symbol in path if symbol]
