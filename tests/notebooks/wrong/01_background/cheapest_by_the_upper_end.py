"""Trusts the upper end of the interval.

expected: the next draw of labels may not
"""


def cheapest(tried, target, label_price, fees):
    def price(entry):
        return entry["labels"] * label_price + fees[entry["start"]]

    good = [entry for entry in tried if entry["high"] >= target]
    if not good:
        return None
    best = min(good, key=price)
    return best["start"], best["labels"]
