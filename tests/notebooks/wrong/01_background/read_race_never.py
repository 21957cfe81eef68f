"""Believes that scratch never gets anywhere.

expected: scratch does get there
"""


def read_race():
    return {"as_good_as_5": None, "as_good_as_20": None, "lead_at_end": 7.5}
