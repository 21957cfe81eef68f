"""What the answers of chapter 6 are called with when they are marked: see `kit/classroom/judging`.

Each function draws inputs for the exercise of its name; what is right, the solved answer says, or
a function `check_…` where more than one value is right.
"""

import numpy as np
import torch

from transferlab.kit.classroom.values import Here

# each takes features and labels; none of them is the same for all orders
SCORES = [
    "lambda x, y: x.shape[1] + float(((y == 0) * x[:, 0]).sum() - ((y == 2) * x[:, 0]).sum())",
    "lambda x, y: -float(((x.sum(dim=1) - y) ** 2).mean())",
    "lambda x, y: float((y * torch.arange(len(y))).sum() + x.sum())",
]


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


def read_ranking(random):
    yield ()


def check_read_ranking(found):
    """A reading with the eye is good enough."""
    assert found["by_probe"] == "letters", "by_probe: which model is farthest to the right?"
    for name, value in (("source_loses", 15.2), ("without_letters", 12.9)):
        assert abs(found[name] - value) <= 0.5, f"{name} is read too far from the figure."
    assert list(found["may_be_best"]) == ["letters, Inception"], (
        "may_be_best: whose interval overlaps the one of `letters`?"
    )


def above_shuffles(random):
    """Scores of several kinds; with random features some shuffles win."""
    for score in SCORES * 3:
        n = int(random.integers(8, 25))
        labels = random.permutation(np.arange(n) % 3)
        features = random.normal(size=(n, 3)) + random.choice([0, 1]) * labels[:, None]
        orders = [torch.tensor(random.permutation(n)) for _ in range(random.integers(2, 7))]
        yield Here(score), torch.tensor(features), torch.tensor(labels), orders


def fastest_good(random):
    """Phones of all sizes; the accuracies are whole numbers, and so is the margin."""
    for _ in range(30):
        table = {}
        for number in random.permutation(int(random.integers(2, 7))):
            row = {"accuracy": float(random.integers(70, 95)), "mb": float(random.integers(1, 9))}
            table[f"model {number}"] = row | {"ms": int(random.integers(1, 6))}
        seen = [(row["accuracy"], row["ms"]) for row in table.values()]
        if len(set(seen)) == len(seen):
            mb, ms = int(random.integers(1, 10)), int(random.integers(1, 7))
            yield table, mb, ms, int(random.choice([0, 2, 5, 10, 20]))
    for margin in (2, 7):  # one is exactly the margin below
        best, mb = int(random.integers(80, 95)), int(random.integers(1, 9))
        table = {"slow": {"accuracy": float(best), "mb": mb, "ms": 6}}
        table["fast"] = {
            "accuracy": float(best - margin),
            "mb": mb,
            "ms": int(random.integers(1, 6)),
        }
        yield table, mb, 6, margin
