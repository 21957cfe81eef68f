"""Takes the cheapest of all.

expected: it misses the target
"""


def cheapest(tried, target, label_price, fees):
    def price(entry):
        return entry["labels"] * label_price + fees[entry["start"]]

    good = [entry for entry in tried if True]
    if not good:
        return None
    best = min(good, key=price)
    return best["start"], best["labels"]
