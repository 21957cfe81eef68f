"""Believes that the lead lasts where the curves are highest.

expected: the lead melts
"""


def read_speech():
    return {"lead_at_60": 33, "lead_at_480": 0.2, "steps": 8, "saves_19": False, "lasts": 20}
