"""Compares the sum of each tensor.

expected: Compare number by number
"""


def what_moved(before, after):
    moved = set()
    for name in before:
        if abs(before[name].double().sum() - after[name].double().sum()) > 1e-9:
            buffer = "running" in name or "num_batches" in name
            moved.add("head" if name[:5] == "head." else "statistics" if buffer else "weights")
    return moved
