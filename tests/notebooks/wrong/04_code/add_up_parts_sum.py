"""Believes that gradients which add up by themselves need no weights.

expected: every part counts fully
"""


def add_up_parts(model, losses, sizes):
    model.zero_grad()
    for loss in losses:
        loss.backward()
    return sum(loss.item() for loss in losses) / len(losses)
