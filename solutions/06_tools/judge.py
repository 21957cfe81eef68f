"""What the answers of chapter 6 are called with when they are marked: see `kit/classroom/judging`.

Each function draws inputs for the exercise of its name; what is right, the solved answer says.
(`load_prefixed` gets a network, which stays where it is: its check does all.)
"""

import numpy as np
import torch


def prepare(random):
    for _ in range(4):
        n, height, width = random.integers(1, 6, size=3)
        photos = torch.tensor(random.integers(0, 256, size=(n, height, width, 3)).astype("uint8"))
        mean, std = random.uniform(0.2, 0.7, size=(2, 3)).tolist()
        yield photos, mean, std


def neighbour_vote(random):
    """Clouds of samples, so that neighbours know something; k is odd, with two classes no ties."""
    for k in (1, 3, 5):
        labels = random.integers(0, 2, size=int(random.integers(12, 30)))
        features = random.normal(size=(len(labels), 3)) + labels[:, None]
        if k == 1:  # two images far away are equal, and have other labels
            features[:8] = 100 + 10 * np.arange(4).repeat(2)[:, None]
            labels[:8] = [0, 1] * 4
        yield torch.tensor(features), torch.tensor(labels), k


def kendall(random):
    """Rankings with few ties, with many, and with nothing else."""
    for most in (2, 4, 100):
        for _ in range(3):
            n = int(random.integers(2, 15))
            yield tuple(random.integers(0, most, size=(2, n)).tolist())
    yield [3.0] * 5, [1.0, 2.0, 5.0, 4.0, 3.0]
