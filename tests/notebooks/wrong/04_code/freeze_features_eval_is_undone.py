"""Calls eval() once, which the next model.train() undoes.

expected: model.train() ends an earlier eval()
"""


def freeze_features(model):
    model.features.requires_grad_(False)
    model.features.eval()
