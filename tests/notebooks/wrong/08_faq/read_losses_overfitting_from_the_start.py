"""Takes validation images that are prepared otherwise for overfitting.

expected: before it gets worse
"""


def read_losses():
    return {
        "A": "overfitting",
        "B": "rate too high",
        "C": "validation prepared otherwise",
        "D": "rate too low",
        "keep_for_loss": 10,
        "keep_for_names": 40,
    }
