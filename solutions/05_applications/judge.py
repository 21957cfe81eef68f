"""What the answers of chapter 5 are called with when they are marked: see `kit/classroom/judging`.

Each function draws inputs for the exercise of its name; what is right, the solved answer says, or
a function `check_…` where more than one value is right.
"""

import numpy as np
import torch


def iou(random):
    for _ in range(5):
        corners = [torch.tensor(random.uniform(0, 50, (n, 2))) for n in random.integers(1, 7, 2)]
        yield tuple(
            torch.cat([corner, corner + torch.tensor(random.uniform(0, 30, corner.shape))], dim=1)
            for corner in corners
        )
    point = torch.tensor([[3.0, 4.0, 3.0, 4.0]])  # a box without an area
    yield point, torch.cat([point, torch.tensor([[0.0, 0.0, 9.0, 9.0]])])


def text_vectors(random):
    """Texts of all lengths; one of them is empty."""
    for _ in range(4):
        n, length, width = (int(size) for size in random.integers((2, 1, 1), (6, 8, 5)))
        lengths = torch.tensor(random.integers(0, length + 1, size=n))
        lengths[0] = 0
        real = torch.arange(length) < lengths[:, None]
        yield torch.tensor(random.normal(size=(n, length, width))), real


def split_by_speaker(random):
    for seed in range(4):
        people = int(random.integers(3, 9))
        speakers = random.permutation([*range(people), *random.integers(0, people, size=30)])
        yield torch.tensor(speakers) * 7, int(random.integers(1, people)), seed


def check_split_by_speaker(found, speakers, test_speakers, seed):
    train, test = (torch.as_tensor(part).long() for part in found)
    both = torch.cat([train, test]).sort().values
    assert both.tolist() == list(range(len(speakers))), "a recording is missing, or in both parts."
    heard, tested = set(speakers[train].tolist()), set(speakers[test].tolist())
    assert not heard & tested, f"{len(heard & tested)} people speak in both parts."
    assert len(tested) == test_speakers, f"{len(tested)} people were left for the test."


def read_symbols(random):
    """Scores that stay for a while, as a voice does."""
    for symbols in (2, 3, 5, 9):
        said = random.integers(0, symbols, size=12).repeat(random.integers(1, 4, size=12))
        loud = 2 * (said[:, None] == np.arange(symbols))
        yield (torch.tensor(random.uniform(size=loud.shape) + loud),)
