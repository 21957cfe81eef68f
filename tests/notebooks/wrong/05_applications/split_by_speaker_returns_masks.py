"""Returns masks instead of positions.

expected: The parts are no positions
"""

import torch


def split_by_speaker(speakers, test_speakers, seed):
    generator = torch.Generator().manual_seed(seed)
    people = speakers.unique()
    chosen = people[torch.randperm(len(people), generator=generator)[:test_speakers]]
    is_test = torch.isin(speakers, chosen)
    return ~is_test, is_test
