"""Averages wordings of different lengths.

expected: before the mean
"""

import torch
from torch.nn import functional as F


def topics_of(sentences, wordings, least):
    topics = [F.normalize(v.mean(dim=0), dim=0) for v in wordings.values()]
    best = (F.normalize(sentences, dim=1) @ torch.stack(topics).T).max(dim=1)
    pairs = zip(best.values.tolist(), best.indices.tolist(), strict=True)
    return [list(wordings)[place] if value >= least else None for value, place in pairs]
