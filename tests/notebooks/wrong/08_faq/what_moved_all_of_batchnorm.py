"""Counts all of BatchNorm's tensors as statistics.

expected: Only the buffers are statistics
"""

import torch


def what_moved(before, after):
    moved = set()
    for name in before:
        if not torch.equal(before[name], after[name]):
            kind = "statistics" if "norm" in name else "weights"
            moved.add("head" if name.startswith("head.") else kind)
    return moved
