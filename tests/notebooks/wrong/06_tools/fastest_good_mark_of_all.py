"""Lets a model set the mark that does not fit.

expected: set by a model that does not fit
"""


def fastest_good(table, mb, ms, margin):
    mark = max(row["accuracy"] for row in table.values()) - margin
    good = [
        n for n, r in table.items() if r["mb"] <= mb and r["ms"] <= ms and r["accuracy"] >= mark
    ]
    return min(good, key=lambda n: (table[n]["ms"], -table[n]["accuracy"]), default=None)
