"""Takes the lead at the start for what pre-training is worth.

expected: how fast the two are
"""


def read_race():
    return {"as_good_as_5": 55, "as_good_as_20": None, "lead_at_end": 72.8}
