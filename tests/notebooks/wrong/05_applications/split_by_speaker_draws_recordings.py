"""Draws recordings and takes their speakers, who may be the same one.

expected: speakers are in the test part, expected 2
"""

import torch


def split_by_speaker(speakers, test_speakers, seed):
    generator = torch.Generator().manual_seed(seed)
    chosen = speakers[torch.randperm(len(speakers), generator=generator)[:1]]
    is_test = torch.isin(speakers, chosen)
    return (~is_test).nonzero().flatten(), is_test.nonzero().flatten()
