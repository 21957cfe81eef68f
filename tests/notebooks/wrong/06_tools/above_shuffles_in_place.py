"""Shuffles the labels in place.

expected: What was handed over has been changed
"""


def above_shuffles(score, features, labels, orders):
    true, shuffled = float(score(features, labels)), []
    for order in orders:
        labels[:] = labels[order]
        shuffled.append(float(score(features, labels)))
    return true - max(shuffled)
