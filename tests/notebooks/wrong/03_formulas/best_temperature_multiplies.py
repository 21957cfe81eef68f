"""Multiplies the scores by the temperature.

expected: divide the scores
"""

from torch.nn import functional as F


def best_temperature(scores, y, candidates):
    best = min(candidates, key=lambda t: F.cross_entropy(scores * t, y).item())
    return best, 100 * (scores.argmax(dim=1) == y).double().mean().item()
