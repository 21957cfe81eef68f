"""Subtracts fine-tuning from scratch.

expected: so the lead is positive
"""


def read_race():
    return {"as_good_as_5": 55, "as_good_as_20": None, "lead_at_end": -7.5}
