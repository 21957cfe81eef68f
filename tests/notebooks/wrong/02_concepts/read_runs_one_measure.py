"""Believes that the lower loss has the higher accuracy.

expected: loss and accuracy do not agree
"""


def read_runs():
    return {
        "scratch": "B",
        "knows_nothing": 2.3,
        "lower_loss": "fine-tuned",
        "higher_accuracy": "fine-tuned",
    }
