"""Takes the most accurate one.

expected: is paid for and not needed
"""


def cheapest(tried, target, label_price, fees):
    def price(entry):
        return entry["labels"] * label_price + fees[entry["start"]]

    good = [entry for entry in tried if entry["low"] >= target]
    if not good:
        return None
    best = max(good, key=lambda entry: entry["low"])
    return best["start"], best["labels"]
