"""Applies the softmax before the cross-entropy.

expected: leave the softmax to the cross-entropy
"""

from torch.nn import functional as F


def best_temperature(scores, y, candidates):
    best = min(candidates, key=lambda t: F.cross_entropy((scores / t).softmax(1), y).item())
    return best, 100 * (scores.argmax(dim=1) == y).double().mean().item()
