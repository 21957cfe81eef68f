"""Scales the test rows with their own mean and deviation.

expected: then the same sample is not the same input
"""


def scale_columns(train, test):
    parts = []
    for rows in (train, test):
        constant = (rows == rows[0]).all(dim=0)
        parts.append((rows - rows.mean(dim=0)) / rows.std(dim=0).masked_fill(constant, 1))
    return parts
