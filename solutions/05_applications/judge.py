"""What the answers of chapter 5 are called with when they are marked: see `kit/classroom/judging`.

Each function draws inputs for the exercise of its name; what is right, the solved answer says, or
a function `check_…` where more than one value is right.
"""

import math

import numpy as np
import torch

TOPICS = "sport", "cooking", "weather", "music", "law"


def iou(random):
    for _ in range(5):
        corners = [torch.tensor(random.uniform(0, 50, (n, 2))) for n in random.integers(1, 7, 2)]
        yield tuple(
            torch.cat([corner, corner + torch.tensor(random.uniform(0, 30, corner.shape))], dim=1)
            for corner in corners
        )
    point = torch.tensor([[3.0, 4.0, 3.0, 4.0]])  # a box without an area
    yield point, torch.cat([point, torch.tensor([[0.0, 0.0, 9.0, 9.0]])])


def topics_of(random):
    """Vectors of all lengths; no decision is close."""
    made = 0
    while made < 12:
        sentences, width = int(random.integers(1, 6)), int(random.integers(3, 7))
        names = random.permutation(TOPICS)[: random.integers(2, 5)].tolist()
        wordings, topics = {}, []
        for name in names:
            vectors = random.normal(size=(int(random.integers(1, 4)), width))
            unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
            topics.append(unit.mean(axis=0) / np.linalg.norm(unit.mean(axis=0)))
            lengths = random.exponential(4, size=(len(vectors), 1)) + 0.1
            wordings[name] = torch.tensor(unit * lengths)
        found = random.normal(size=(sentences, width))
        found /= np.linalg.norm(found, axis=1, keepdims=True)
        scores, least = np.sort(found @ np.transpose(topics)), float(random.uniform(0, 0.7))
        if (scores[:, -1] - scores[:, -2]).min() > 0.02 and abs(scores[:, -1] - least).min() > 0.02:
            made += 1
            lengths = random.exponential(4, size=(sentences, 1)) + 0.1
            yield torch.tensor(found * lengths), wordings, least


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


def read_speech(random):
    yield ()


def check_read_speech(found):
    """A reading with the eye is good enough."""
    assert abs(found["lead_at_60"] - 33.2) <= 3, "lead_at_60 is read too far from the curves."
    assert abs(found["lead_at_480"] - 0.2) <= 1, "lead_at_480 is read too far from the curves."
    assert found["steps"] == 8, "steps: which is the first run of each start above 95 %?"
    assert found["saves_19"] is False, "saves_19: compare 1 recording with 20."
    assert found["lasts"] == 1, "lasts: where is a lead left at the right end?"


def _price(threshold, same, different, price_match, price_miss, share_same):
    misses = (same < threshold).double().mean().item()
    matches = (different >= threshold).double().mean().item()
    return share_same * misses * price_miss + (1 - share_same) * matches * price_match


def cheapest_threshold(random):
    """Prices and shares of all kinds; equal similarities occur."""
    for kind in range(12):
        n, m = random.integers(3, 30, size=2)
        same, different = random.normal(0.6, 0.2, size=n), random.normal(0.4, 0.2, size=m)
        prices = (10 ** random.uniform(-1, 2, size=2)).tolist()
        share = float(random.choice([0.02, 0.2, 0.5, 0.9]))
        if kind == 0:
            different[0], prices, share = 2, [1000.0, 0.1], 0.1  # best is to accept nobody
        yield *(torch.tensor(s.round(2)) for s in (same, different)), *prices, share


def check_cheapest_threshold(found, *given):
    """Any of several equally cheap thresholds is right."""
    candidates = [*given[0].tolist(), *given[1].tolist(), math.inf]
    found = float(found)
    assert any(math.isclose(found, t, abs_tol=1e-9) for t in candidates), (
        f"{found:g} is none of the candidates: the similarities, and infinity."
    )
    nearest = min(candidates, key=lambda t: 0 if t == found else abs(t - found))
    more = _price(nearest, *given) - min(_price(t, *given) for t in candidates)
    assert more < 1e-9, f"the threshold {found:g} costs {more:.3g} more than the cheapest one."
