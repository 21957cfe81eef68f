"""Takes nearly equal for equal.

expected: Equal means equal to the last bit
"""

import torch


def what_moved(before, after):
    moved = set()
    for name in before:
        if not torch.allclose(before[name].float(), after[name].float(), atol=1e-5):
            buffer = "running" in name or "num_batches" in name
            moved.add("head" if name[:5] == "head." else "statistics" if buffer else "weights")
    return moved
