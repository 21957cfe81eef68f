"""Stops at the first fault.

expected: A network can have two faults
"""


def faults_of(numbers, margin=10):
    names = "BatchNorm", "preprocessing", "overfitting", "leak"
    for n, name in enumerate(names):
        if numbers[n] - numbers[n + 1] > margin:
            return [name]
    return []
