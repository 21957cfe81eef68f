"""Takes the highest curve for the most patient one.

expected: is not the widest one
"""


def read_rates():
    return {"gain_at_small": -5.5, "gain_fair": 1.9, "most_patient": "everything"}
