"""Takes the highest loss for the start from scratch.

expected: begins with the loss of nothing
"""


def read_runs():
    return {
        "scratch": "A",
        "knows_nothing": 2.3,
        "lower_loss": "head only",
        "higher_accuracy": "fine-tuned",
    }
