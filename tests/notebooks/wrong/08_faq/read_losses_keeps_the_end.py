"""Keeps the last step, where the training loss is the lowest.

expected: wrong with ever greater confidence
"""


def read_losses():
    return {
        "A": "validation prepared otherwise",
        "B": "rate too high",
        "C": "overfitting",
        "D": "rate too low",
        "keep_for_loss": 160,
        "keep_for_names": 160,
    }
