"""Counts the labels and forgets the fee.

expected: the fee counts too
"""


def cheapest(tried, target, label_price, fees):
    def price(entry):
        return entry["labels"] * label_price

    good = [entry for entry in tried if entry["low"] >= target]
    if not good:
        return None
    best = min(good, key=price)
    return best["start"], best["labels"]
