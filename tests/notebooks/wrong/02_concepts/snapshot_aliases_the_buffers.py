"""Copies the parameters and forgets that buffers change too.

expected: Copy them too
"""


def snapshot(model):
    parameters = {name: tensor.detach().clone() for name, tensor in model.named_parameters()}
    return parameters | dict(model.named_buffers())
