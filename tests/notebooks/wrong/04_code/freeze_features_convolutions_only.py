"""Freezes the convolutions, and forgets that BatchNorm has parameters.

expected: Convolutions and BatchNorm both have parameters
"""

from torch import nn


def freeze_features(model):
    for module in model.features.modules():
        if isinstance(module, nn.Conv2d):
            module.requires_grad_(False)
    model.features.eval()
    model.features.train = lambda mode=True: model.features
