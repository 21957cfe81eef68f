"""Compares with a model that cannot be had.

expected: That one is gone for everybody
"""


def read_ranking():
    return {
        "by_probe": "letters",
        "source_loses": 15.2,
        "without_letters": 14.7,
        "may_be_best": ["letters, Inception"],
    }
