"""Takes a recording of each speaker for the test.

expected: are in both parts: a leak
"""

import torch


def split_by_speaker(speakers, test_speakers, seed):
    test = torch.stack([(speakers == s).nonzero()[0, 0] for s in speakers.unique()])
    others = torch.ones(len(speakers), dtype=torch.bool)
    others[test] = False
    return others.nonzero().flatten(), test
