"""Asks for equality to the last bit.

expected: Another machine rounds otherwise
"""

import torch


def prepared_by(model, images, features, preparations):
    model.eval()
    for name, prepared in preparations.items():
        with torch.no_grad():
            if torch.equal(model.forward_features(prepared(images)), features):
                return name
    return None
