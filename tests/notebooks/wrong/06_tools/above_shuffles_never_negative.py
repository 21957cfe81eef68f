"""Cuts off what is below zero.

expected: gets no negative number
"""


def above_shuffles(score, features, labels, orders):
    shuffled = [float(score(features, labels[order])) for order in orders]
    return max(0.0, float(score(features, labels)) - max(shuffled))
