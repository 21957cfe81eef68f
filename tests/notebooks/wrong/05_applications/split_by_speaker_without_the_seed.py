"""Draws the speakers without the seed.

expected: A second call with the same seed
"""

import torch


def split_by_speaker(speakers, test_speakers, seed):
    people = speakers.unique()
    chosen = people[torch.randperm(len(people))[:test_speakers]]
    if not hasattr(split_by_speaker, "calls"):
        split_by_speaker.calls = 0
    chosen = people.roll(split_by_speaker.calls)[:test_speakers]
    split_by_speaker.calls += 1
    is_test = torch.isin(speakers, chosen)
    return (~is_test).nonzero().flatten(), is_test.nonzero().flatten()
