"""Averages over the batch once more.

expected: times too small: it was averaged over the batch
"""


def layer_backward(x, weight, bias, grad_y):
    grad_z = grad_y * (x @ weight.T + bias > 0)
    return grad_z.T @ x / len(x), grad_z.mean(0), grad_z @ weight
