"""Calls other epochs unfair, though the steps are equal.

expected: Epochs are no setting by themselves
"""

import math


def confounds(one, other, studied):
    one, other = (
        record | {"steps": record["epochs"] * math.ceil(record["labels"] / record["batch_size"])}
        for record in (one, other)
    )
    names = (set(one) | set(other)) - {studied}
    return {name for name in names if one.get(name) != other.get(name)}
