"""Forgets that a difference may be negative.

expected: A difference may be negative
"""


def without_copies(train, test, right):
    differences = (test.flatten(1)[:, None] - train.flatten(1)).amax(2)
    copied = ((differences <= 0.05) & (differences > 0.02)).any(dim=1)
    return int(copied.sum()), 100 * right[~copied].float().mean().item()
