"""Multiplies in the order in which the shapes happen to fit, and gets the transpose.

expected: Expected is the shape of weight itself
"""


def layer_backward(x, weight, bias, grad_y):
    grad_z = grad_y * (x @ weight.T + bias > 0)
    return x.T @ grad_z, grad_z.sum(0), grad_z @ weight
