"""Takes a fall for a gain.

expected: That is no gain
"""


def what_next(history):
    (_, before), (training, validation) = history[-2:]
    if abs(validation - before) > 3:
        return "more steps"
    return "more labels" if training - validation > 8 else "more layers"
