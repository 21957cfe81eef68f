"""Takes the first of two that are equally fast.

expected: At the same price take the better
"""


def fastest_good(table, mb, ms, margin):
    fitting = {n: row for n, row in table.items() if row["mb"] <= mb and row["ms"] <= ms}
    mark = max((row["accuracy"] for row in fitting.values()), default=0) - margin
    good = [name for name, row in fitting.items() if row["accuracy"] >= mark]
    return min(good, key=lambda name: table[name]["ms"], default=None)
