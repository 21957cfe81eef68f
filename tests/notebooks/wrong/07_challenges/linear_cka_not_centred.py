"""Leaves the means in.

expected: Without centring
"""


def linear_cka(x, y):
    return (x.T @ y).norm() ** 2 / ((x.T @ x).norm() * (y.T @ y).norm())
