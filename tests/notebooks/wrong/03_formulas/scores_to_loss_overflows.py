"""Takes the exponential of the scores as they are.

expected: exp(1000) is too large for a number
"""


def scores_to_loss(scores, y):
    p = scores.exp() / scores.exp().sum(dim=1, keepdim=True)
    return -p.gather(1, y[:, None]).log().mean()
