"""Takes what is studied for a confound.

expected: The start is what is studied here
"""

import math


def confounds(one, other, studied):
    one, other = (
        record | {"steps": record["epochs"] * math.ceil(record["labels"] / record["batch_size"])}
        for record in (one, other)
    )
    names = (set(one) | set(other)) - {"epochs"}
    return {name for name in names if one.get(name) != other.get(name)}
