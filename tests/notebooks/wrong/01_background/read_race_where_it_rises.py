"""Takes the step where the curve begins to rise.

expected: it is not yet there
"""


def read_race():
    return {"as_good_as_5": 25, "as_good_as_20": None, "lead_at_end": 7.5}
