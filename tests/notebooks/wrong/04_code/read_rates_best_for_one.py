"""Compares both at the rate that is best for one.

expected: chosen for one side only
"""


def read_rates():
    return {"gain_at_small": -5.5, "gain_fair": 2.6, "most_patient": "head only"}
