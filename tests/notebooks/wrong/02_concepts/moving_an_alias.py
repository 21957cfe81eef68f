"""Compares the network with itself.

expected: Work on a copy
"""

import torch


def moving(model, images):
    old = dict(model.named_buffers())
    model.requires_grad_(False).train()
    with torch.no_grad():
        model(images)
    return {name for name, now in model.named_buffers() if not torch.equal(now, old[name])}
