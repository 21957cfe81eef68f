"""Takes a promise of less error for too careful.

expected: pays for a promise
"""


def read_scaling():
    return {
        "first_tenfold": 6.2,
        "last_tenfold": 1.5,
        "law_misses": 3.3,
        "naive_misses": -0.4,
        "pay_for": "digits",
    }
