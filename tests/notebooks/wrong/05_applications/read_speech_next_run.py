"""Compares the step where scratch gets there with the run before it.

expected: the listener did so long before
"""


def read_speech():
    return {"lead_at_60": 33, "lead_at_480": 0.2, "steps": 2, "saves_19": False, "lasts": 1}
