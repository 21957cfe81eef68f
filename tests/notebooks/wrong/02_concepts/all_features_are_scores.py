"""Returns what the head makes of the features.

expected: Scores of the head are no features
"""

import torch


def all_features(model, x, batch_size):
    mode = model.training
    model.eval()
    with torch.no_grad():
        scores = torch.cat([model(part) for part in x.split(batch_size)])
    model.train(mode)
    return scores
