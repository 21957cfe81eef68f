"""Forgets that buffers are part of a network.

expected: BatchNorm's buffers are no parameters
"""

import torch


def what_moved(before, after):
    moved = set()
    for name in before:
        buffer = "running" in name or "num_batches" in name
        if not buffer and not torch.equal(before[name], after[name]):
            moved.add("head" if name.startswith("head.") else "weights")
    return moved
