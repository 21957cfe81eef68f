"""Applies ReLU to the gradient itself, instead of asking where Z was positive.

expected: not autograd's numbers
"""


def layer_backward(x, weight, bias, grad_y):
    grad_z = grad_y.clamp(min=0)
    return grad_z.T @ x, grad_z.sum(0), grad_z @ weight
