"""Returns Python's index, which is one too small.

expected: Python counts from 0
"""


def steps_to_reach(losses, target):
    return next((index for index, loss in enumerate(losses) if loss <= target), None)
