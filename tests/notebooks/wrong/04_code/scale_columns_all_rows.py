"""Takes mean and deviation from all rows, those of the test as well.

expected: that is a leak
"""

import torch


def scale_columns(train, test):
    rows = torch.cat([train, test])
    mean, deviation = rows.mean(dim=0), rows.std(dim=0)
    return (train - mean) / deviation, (test - mean) / deviation
