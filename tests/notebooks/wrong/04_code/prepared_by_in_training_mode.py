"""Leaves the network in training mode.

expected: moves BatchNorm's buffers
"""

import torch


def prepared_by(model, images, features, preparations):
    distances = {}
    for name, prepared in preparations.items():
        with torch.no_grad():
            distances[name] = (model.forward_features(prepared(images)) - features).norm()
    return min(distances, key=distances.get)
