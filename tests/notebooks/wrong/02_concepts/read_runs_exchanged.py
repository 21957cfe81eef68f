"""Takes a high loss for a good one.

expected: The two are exchanged
"""


def read_runs():
    return {
        "scratch": "B",
        "knows_nothing": 2.3,
        "lower_loss": "fine-tuned",
        "higher_accuracy": "head only",
    }
