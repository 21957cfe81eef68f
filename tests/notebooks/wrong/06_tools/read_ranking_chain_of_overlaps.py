"""Follows overlaps from one model to the next.

expected: overlap with each other
"""


def read_ranking():
    return {
        "by_probe": "letters",
        "source_loses": 15.2,
        "without_letters": 12.9,
        "may_be_best": ["letters, Inception", "letters, ResNet-50", "fractals"],
    }
