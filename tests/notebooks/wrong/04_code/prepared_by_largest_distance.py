"""Takes the largest distance.

expected: *smallest* distance
"""

import torch


def prepared_by(model, images, features, preparations):
    model.eval()
    distances = {}
    for name, prepared in preparations.items():
        with torch.no_grad():
            distances[name] = (model.forward_features(prepared(images)) - features).norm()
    return max(distances, key=distances.get)
