"""Takes the highest loss for that of a network that knows nothing.

expected: the curve that stays level
"""


def read_runs():
    return {
        "scratch": "B",
        "knows_nothing": 49.65,
        "lower_loss": "head only",
        "higher_accuracy": "fine-tuned",
    }
