"""Gives the probability instead of its logarithm.

expected: The loss is minus its logarithm
"""


def read_runs():
    return {
        "scratch": "B",
        "knows_nothing": 0.1,
        "lower_loss": "head only",
        "higher_accuracy": "fine-tuned",
    }
