"""Believes that the probe's second choice is the second-best model.

expected: One model that stands alone
"""


def read_ranking():
    return {
        "by_probe": "letters",
        "source_loses": 15.2,
        "without_letters": 0.0,
        "may_be_best": ["letters, Inception"],
    }
