"""Forgets the square above the bar.

expected: Is the square missing?
"""


def linear_cka(x, y):
    x, y = x - x.mean(dim=0), y - y.mean(dim=0)
    return (x.T @ y).norm() / ((x.T @ x).norm() * (y.T @ y).norm())
