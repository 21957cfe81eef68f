"""Returns the length of a run that never arrives.

expected: A number would claim that the run arrived
"""


def steps_to_reach(losses, target):
    return next((step for step, loss in enumerate(losses, 1) if loss <= target), len(losses))
