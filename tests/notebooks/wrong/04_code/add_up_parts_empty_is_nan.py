"""Believes that a weight of 0 takes away any number, NaN as well.

expected: 0 · NaN is NaN
"""


def add_up_parts(model, losses, sizes):
    model.zero_grad()
    total = sum(size / sum(sizes) * loss for loss, size in zip(losses, sizes, strict=True))
    total.backward()
    return total.item()
