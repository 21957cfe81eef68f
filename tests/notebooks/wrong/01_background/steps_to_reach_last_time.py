"""Counts the losses above the target, as if the loss never rose again.

expected: The first time counts
"""


def steps_to_reach(losses, target):
    above = sum(loss > target for loss in losses)
    return above + 1 if above < len(losses) else None
