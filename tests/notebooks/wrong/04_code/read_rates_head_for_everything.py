"""Compares the head with scratch.

expected: Compare the curves of everything
"""


def read_rates():
    return {"gain_at_small": -65.0, "gain_fair": -0.6, "most_patient": "head only"}
