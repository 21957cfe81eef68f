"""Compares test image i with training image i.

expected: copies may stand anywhere
"""


def without_copies(train, test, right):
    differences = (test - train[: len(test)]).flatten(1).abs().amax(1, keepdim=True)
    copied = (differences <= 0.05).any(dim=1)
    return int(copied.sum()), 100 * right[~copied].float().mean().item()
