"""Compares parameters, which stand still.

expected: the buffers are what is left
"""

import copy

import torch


def moving(model, images):
    frozen = copy.deepcopy(model).requires_grad_(False).train()
    with torch.no_grad():
        frozen(images)
    old = dict(model.named_parameters())
    return {name for name, now in frozen.named_parameters() if not torch.equal(now, old[name])}
