"""Compares orthonormal bases, as CCA does: every invertible matrix is forgiven.

expected: forgives every invertible matrix
"""

import torch


def linear_cka(x, y):
    x, y = x - x.mean(dim=0), y - y.mean(dim=0)
    x, y = torch.linalg.qr(x)[0], torch.linalg.qr(y)[0]
    return (x.T @ y).norm() ** 2 / ((x.T @ x).norm() * (y.T @ y).norm())
