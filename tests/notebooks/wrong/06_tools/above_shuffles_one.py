"""Asks a single shuffle.

expected: Only one shuffle was asked
"""


def above_shuffles(score, features, labels, orders):
    return float(score(features, labels)) - float(score(features, labels[orders[0]]))
