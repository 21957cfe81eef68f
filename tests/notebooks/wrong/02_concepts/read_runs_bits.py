"""Takes the logarithm to base 2.

expected: is in bits
"""


def read_runs():
    return {
        "scratch": "B",
        "knows_nothing": 3.32,
        "lower_loss": "head only",
        "higher_accuracy": "fine-tuned",
    }
