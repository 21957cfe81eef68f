"""Trusts the middle of the interval.

expected: the next draw of labels may not
"""


def cheapest(tried, target, label_price, fees):
    def price(entry):
        return entry["labels"] * label_price + fees[entry["start"]]

    good = [entry for entry in tried if (entry["low"] + entry["high"]) / 2 >= target]
    if not good:
        return None
    best = min(good, key=price)
    return best["start"], best["labels"]
