"""Believes that more labels always help most.

expected: the features are the limit
"""


def what_next(history):
    (_, before), (_, validation) = history[-2:]
    return "more steps" if validation - before > 3 else "more labels"
