"""Believes that scratch catches up when it is given enough steps.

expected: Pre-training gives more than speed
"""


def read_race():
    return {"as_good_as_5": 55, "as_good_as_20": 240, "lead_at_end": 7.5}
