"""Takes the loss with the index k − 1, which is the largest one when k is 0.

expected: An index of −1
"""


def true_positive_rate(members, others, alpha):
    count = int(alpha * len(others))  # of those that may be accused
    threshold = others.sort().values[count - 1]
    return (members <= threshold).double().mean().item()
