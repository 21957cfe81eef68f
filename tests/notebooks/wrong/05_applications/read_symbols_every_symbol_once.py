"""Keeps each symbol once.

expected: A symbol that comes again later is missing
"""


def read_symbols(scores):
    path = scores.argmax(dim=1).tolist()
    found = []
    for i, symbol in enumerate(path):
        again = path[i - 1] == 0 and symbol in path[: i - 1] and symbol == path[i - 2]
        if symbol and (symbol not in found or again):
            found.append(symbol)
    return found
