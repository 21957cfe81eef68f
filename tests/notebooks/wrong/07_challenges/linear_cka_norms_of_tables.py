"""Divides by the squared norms of X and Y instead of those of XᵀX and YᵀY.

expected: not those of X and Y
"""


def linear_cka(x, y):
    x, y = x - x.mean(dim=0), y - y.mean(dim=0)
    return (x.T @ y).norm() ** 2 / (x.norm() ** 2 * y.norm() ** 2)
