"""Takes a lead with few labels for as good as many labels.

expected: that is another saving
"""


def read_speech():
    return {"lead_at_60": 33, "lead_at_480": 0.2, "steps": 8, "saves_19": True, "lasts": 1}
