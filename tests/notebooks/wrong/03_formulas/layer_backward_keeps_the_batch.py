"""Gives every sample of the batch a bias of its own.

expected: Expected is the shape of bias itself
"""


def layer_backward(x, weight, bias, grad_y):
    grad_z = grad_y * (x @ weight.T + bias > 0)
    return grad_z.T @ x, grad_z, grad_z @ weight
