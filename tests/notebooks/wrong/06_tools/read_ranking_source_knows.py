"""Believes that the best model on its source is the best one.

expected: nobody asked it about textures
"""


def read_ranking():
    return {
        "by_probe": "letters",
        "source_loses": 0.0,
        "without_letters": 12.9,
        "may_be_best": ["letters, Inception"],
    }
