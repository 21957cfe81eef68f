"""Takes a flat loss that trembles for a rate that is too low.

expected: for opposite reasons
"""


def read_losses():
    return {
        "A": "validation prepared otherwise",
        "B": "rate too low",
        "C": "overfitting",
        "D": "rate too high",
        "keep_for_loss": 10,
        "keep_for_names": 40,
    }
