"""Calls everything overfitting that is bad on validation images.

expected: as soon as it is in evaluation mode
"""


def faults_of(numbers, margin=10):
    return ["overfitting"] if numbers[0] - numbers[3] > margin else []
