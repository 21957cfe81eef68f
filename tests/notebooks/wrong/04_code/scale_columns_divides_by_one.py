"""Divides a constant column by 1, so that it comes to life in the test rows.

expected: is not 0 everywhere
"""


def scale_columns(train, test):
    constant = (train == train[0]).all(dim=0)
    mean, deviation = train.mean(dim=0), train.std(dim=0).masked_fill(constant, 1)
    return (train - mean) / deviation, (test - mean) / deviation
