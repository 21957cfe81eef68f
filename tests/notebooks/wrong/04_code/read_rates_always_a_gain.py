"""Believes that pre-training cannot harm.

expected: so the gain is negative
"""


def read_rates():
    return {"gain_at_small": 5.5, "gain_fair": 1.9, "most_patient": "head only"}
