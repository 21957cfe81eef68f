"""Names the largest fall only.

expected: only the largest fall was named
"""


def faults_of(numbers, margin=10):
    names = "BatchNorm", "preprocessing", "overfitting", "leak"
    falls = [numbers[n] - numbers[n + 1] for n in range(4)]
    worst = max(falls)
    return [names[falls.index(worst)]] if worst > margin else []
