"""Compares with the mean of the shuffles.

expected: The mean of the shuffles was taken
"""


def above_shuffles(score, features, labels, orders):
    shuffled = [float(score(features, labels[order])) for order in orders]
    return float(score(features, labels)) - sum(shuffled) / len(shuffled)
