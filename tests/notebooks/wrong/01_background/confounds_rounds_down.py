"""Forgets the last, smaller batch.

expected: The last batch counts as a step
"""


def confounds(one, other, studied):
    one, other = (
        record | {"steps": record["epochs"] * (record["labels"] // record["batch_size"])}
        for record in (one, other)
    )
    names = (set(one) | set(other)) - {"epochs", studied}
    return {name for name in names if one.get(name) != other.get(name)}
