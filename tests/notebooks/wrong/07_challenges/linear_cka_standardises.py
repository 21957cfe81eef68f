"""Divides every feature by its deviation.

expected: Are the columns scaled one by one?
"""


def linear_cka(x, y):
    x, y = x - x.mean(dim=0), y - y.mean(dim=0)
    x, y = x / x.std(dim=0), y / y.std(dim=0)
    return (x.T @ y).norm() ** 2 / ((x.T @ x).norm() * (y.T @ y).norm())
