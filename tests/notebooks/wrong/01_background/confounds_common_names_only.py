"""Takes what a record does not say for equal.

expected: is not known to be equal
"""

import math


def confounds(one, other, studied):
    one, other = (
        record | {"steps": record["epochs"] * math.ceil(record["labels"] / record["batch_size"])}
        for record in (one, other)
    )
    names = (set(one) & set(other)) - {"epochs", studied}
    return {name for name in names if one.get(name) != other.get(name)}
