"""Looks at the running means only.

expected: Each BatchNorm layer has three
"""

import copy

import torch


def moving(model, images):
    frozen = copy.deepcopy(model).requires_grad_(False).train()
    with torch.no_grad():
        frozen(images)
    old = dict(model.named_buffers())
    means = {name: now for name, now in frozen.named_buffers() if name.endswith("mean")}
    return {name for name, now in means.items() if not torch.equal(now, old[name])}
