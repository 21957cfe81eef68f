"""Names the best one when none reaches the target.

expected: would promise what it cannot do
"""


def cheapest(tried, target, label_price, fees):
    def price(entry):
        return entry["labels"] * label_price + fees[entry["start"]]

    good = [entry for entry in tried if entry["low"] >= target]
    if not good:
        good = [max(tried, key=lambda entry: entry["low"])]
    best = min(good, key=price)
    return best["start"], best["labels"]
