"""Switches the gradients off, and leaves BatchNorm in training mode.

expected: whatever requires_grad says
"""


def freeze_features(model):
    model.features.requires_grad_(False)
