"""Has a margin of its own.

expected: the margin that was handed over
"""


def faults_of(numbers, margin=10):
    names = "BatchNorm", "preprocessing", "overfitting", "leak"
    return [name for n, name in enumerate(names) if numbers[n] - numbers[n + 1] > 10]
