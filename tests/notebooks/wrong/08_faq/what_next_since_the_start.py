"""Counts the gain since the first run.

expected: the last doubling has brought 2.4 points
"""


def what_next(history):
    training, validation = history[-1]
    if validation - history[0][1] > 3:
        return "more steps"
    return "more labels" if training - validation > 8 else "more layers"
