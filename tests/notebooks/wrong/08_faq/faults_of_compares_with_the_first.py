"""Compares every number with the first one.

expected: Compare each number with the one before it
"""


def faults_of(numbers, margin=10):
    names = "BatchNorm", "preprocessing", "overfitting", "leak"
    return [n for n, value in zip(names, numbers[1:], strict=True) if numbers[0] - value > margin]
