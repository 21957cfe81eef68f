"""Splits the recordings at random.

expected: are in both parts: a leak
"""

import torch


def split_by_speaker(speakers, test_speakers, seed):
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(speakers), generator=generator)
    return order[10:], order[:10]
