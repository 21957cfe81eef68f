"""Looks at the parameters only.

expected: a snapshot of the parameters alone
"""


def snapshot(model):
    return {name: tensor.detach().clone() for name, tensor in model.named_parameters()}
