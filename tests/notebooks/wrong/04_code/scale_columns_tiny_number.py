"""Adds a tiny number to the deviation, and divides the test rows by it.

expected: a tiny number stands where their deviation of 0 was
"""


def scale_columns(train, test):
    mean, deviation = train.mean(dim=0), train.std(dim=0) + 1e-8
    return (train - mean) / deviation, (test - mean) / deviation
