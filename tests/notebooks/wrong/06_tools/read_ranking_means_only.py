"""Looks at the means only.

expected: look at the intervals
"""


def read_ranking():
    return {
        "by_probe": "letters",
        "source_loses": 15.2,
        "without_letters": 12.9,
        "may_be_best": [],
    }
