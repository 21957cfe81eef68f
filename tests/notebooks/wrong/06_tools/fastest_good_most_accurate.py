"""Takes the most accurate model that fits.

expected: must act on it
"""


def fastest_good(table, mb, ms, margin):
    fitting = [n for n, row in table.items() if row["mb"] <= mb and row["ms"] <= ms]
    return max(fitting, key=lambda name: table[name]["accuracy"], default=None)
