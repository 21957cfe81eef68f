"""Counts the fee and forgets the labels.

expected: the labels cost as well
"""


def cheapest(tried, target, label_price, fees):
    def price(entry):
        return (fees[entry["start"]], entry["labels"])

    good = [entry for entry in tried if entry["low"] >= target]
    if not good:
        return None
    best = min(good, key=price)
    return best["start"], best["labels"]
