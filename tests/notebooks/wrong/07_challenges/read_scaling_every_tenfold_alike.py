"""Believes that every tenfold brings the same.

expected: The measured points bend
"""


def read_scaling():
    fall = 6.2
    return {
        "first_tenfold": fall,
        "last_tenfold": fall,
        "law_misses": -3.3,
        "naive_misses": -0.4,
        "pay_for": "digits",
    }
