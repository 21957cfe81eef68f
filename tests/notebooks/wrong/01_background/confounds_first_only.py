"""Stops at the first difference.

expected: Expected are all that differ
"""

import math


def confounds(one, other, studied):
    one, other = (
        record | {"steps": record["epochs"] * math.ceil(record["labels"] / record["batch_size"])}
        for record in (one, other)
    )
    names = (set(one) | set(other)) - {"epochs", studied}
    return set(sorted(name for name in names if one.get(name) != other.get(name))[:1])
