"""Takes the rate where the gap is largest.

expected: Where scratch fails
"""


def read_rates():
    return {"gain_at_small": -5.5, "gain_fair": 19.5, "most_patient": "head only"}
