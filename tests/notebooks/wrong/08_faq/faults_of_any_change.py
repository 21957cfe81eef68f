"""Takes a rise for a fault.

expected: a number that rises is no fault
"""


def faults_of(numbers, margin=10):
    names = "BatchNorm", "preprocessing", "overfitting", "leak"
    return [name for n, name in enumerate(names) if abs(numbers[n] - numbers[n + 1]) > margin]
