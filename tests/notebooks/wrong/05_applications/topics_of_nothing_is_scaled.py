"""Compares inner products of vectors as they are.

expected: Scale sentences to length 1
"""

import torch


def topics_of(sentences, wordings, least):
    topics = [vectors.mean(dim=0) for vectors in wordings.values()]
    best = (sentences @ torch.stack(topics).T).max(dim=1)
    pairs = zip(best.values.tolist(), best.indices.tolist(), strict=True)
    return [list(wordings)[place] if value >= least else None for value, place in pairs]
