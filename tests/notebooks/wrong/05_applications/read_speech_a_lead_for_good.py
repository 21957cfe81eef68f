"""Believes that a lead after a short training stays.

expected: is not a lead for good
"""


def read_speech():
    return {"lead_at_60": 33, "lead_at_480": 33, "steps": 8, "saves_19": False, "lasts": 20}
