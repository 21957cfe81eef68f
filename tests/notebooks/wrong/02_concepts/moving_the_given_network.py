"""Lets the batch move the network that was handed over.

expected: its own buffers moved
"""

import torch


def moving(model, images):
    old = {name: buffer.clone() for name, buffer in model.named_buffers()}
    model.train()
    with torch.no_grad():
        model(images)
    return {name for name, now in model.named_buffers() if not torch.equal(now, old[name])}
