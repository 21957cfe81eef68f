"""Reads percent for points.

expected: Asked are points
"""


def read_scaling():
    return {
        "first_tenfold": 25.4,
        "last_tenfold": 8.2,
        "law_misses": -3.3,
        "naive_misses": -0.4,
        "pay_for": "digits",
    }
