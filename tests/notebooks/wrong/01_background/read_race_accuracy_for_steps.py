"""Reads the accuracy instead of the steps.

expected: the accuracy of fine-tuning after 5 steps
"""


def read_race():
    return {"as_good_as_5": 85.3, "as_good_as_20": None, "lead_at_end": 7.5}
