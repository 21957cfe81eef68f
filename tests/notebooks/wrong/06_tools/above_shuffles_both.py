"""Shuffles the images together with their labels.

expected: each image keeps its
"""


def above_shuffles(score, features, labels, orders):
    shuffled = [float(score(features[order], labels[order])) for order in orders]
    return float(score(features, labels)) - max(shuffled)
