"""Throws out what is exactly a margin below.

expected: exactly 1 point below
"""


def fastest_good(table, mb, ms, margin):
    fitting = {n: row for n, row in table.items() if row["mb"] <= mb and row["ms"] <= ms}
    best = max((row["accuracy"] for row in fitting.values()), default=0)
    good = [n for n, r in fitting.items() if r["accuracy"] == best or best - r["accuracy"] < margin]
    return min(good, key=lambda n: (table[n]["ms"], -table[n]["accuracy"]), default=None)
