"""Takes the fastest model that fits.

expected: The fastest model of all was taken
"""


def fastest_good(table, mb, ms, margin):
    fitting = [n for n, row in table.items() if row["mb"] <= mb and row["ms"] <= ms]
    return min(fitting, key=lambda name: table[name]["ms"], default=None)
