"""Tests in evaluation mode, where nothing moves.

expected: Was the copy in training mode
"""

import copy

import torch


def moving(model, images):
    frozen = copy.deepcopy(model).requires_grad_(False).eval()
    with torch.no_grad():
        frozen(images)
    old = dict(model.named_buffers())
    return {name for name, now in frozen.named_buffers() if not torch.equal(now, old[name])}
