"""Looks at the gap before the run is finished.

expected: Steps come first
"""


def what_next(history):
    (_, before), (training, validation) = history[-2:]
    if training - validation > 8:
        return "more labels"
    return "more steps" if validation - before > 3 else "more layers"
