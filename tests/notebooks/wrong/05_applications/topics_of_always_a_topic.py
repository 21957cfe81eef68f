"""Gives every sentence a topic.

expected: no answer
"""

import torch
from torch.nn import functional as F


def topics_of(sentences, wordings, least):
    topics = [F.normalize(F.normalize(v, dim=1).mean(dim=0), dim=0) for v in wordings.values()]
    best = (F.normalize(sentences, dim=1) @ torch.stack(topics).T).argmax(dim=1)
    return [list(wordings)[place] for place in best.tolist()]
