"""Adds the samples up.

expected: This is the sum over the samples
"""


def scores_to_loss(scores, y):
    picked = scores.gather(1, y[:, None]).squeeze(1)
    return (scores.logsumexp(dim=1) - picked).sum()
