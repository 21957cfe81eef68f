"""Sends the whole set through the network in one piece.

expected: a set may be far larger than the memory
"""

import torch


def all_features(model, x, batch_size):
    mode = model.training
    model.eval()
    with torch.no_grad():
        features = model.forward_features(x)
    model.train(mode)
    return features
