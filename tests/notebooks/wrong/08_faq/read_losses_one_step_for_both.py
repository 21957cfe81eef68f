"""Believes that the accuracy is best where the loss is lowest.

expected: the accuracy does not see it
"""


def read_losses():
    return {
        "A": "validation prepared otherwise",
        "B": "rate too high",
        "C": "overfitting",
        "D": "rate too low",
        "keep_for_loss": 10,
        "keep_for_names": 10,
    }
