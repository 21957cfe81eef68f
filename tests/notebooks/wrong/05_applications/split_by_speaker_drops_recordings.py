"""Keeps as many training recordings as test recordings.

expected: recordings are in no part
"""

import torch


def split_by_speaker(speakers, test_speakers, seed):
    generator = torch.Generator().manual_seed(seed)
    people = speakers.unique()
    chosen = people[torch.randperm(len(people), generator=generator)[:test_speakers]]
    is_test = torch.isin(speakers, chosen)
    test = is_test.nonzero().flatten()
    return (~is_test).nonzero().flatten()[: len(test)], test
