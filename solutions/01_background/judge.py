"""What the answers of chapter 1 are called with when they are marked: see `kit/classroom/judging`.

Each function draws inputs for the exercise of its name; what is right, the solved answer says.
(`prepare` returns a network, which stays where it is: its checks do all.)
"""

import torch

STARTS = "from scratch", "head only", "fine-tuned"


def read_race(random):
    yield ()


def check_read_race(found):
    """A reading with the eye is good enough."""
    assert abs(found["as_good_as_5"] - 55) <= 10, "as_good_as_5 is read too far from the curve."
    assert found["as_good_as_20"] is None, "as_good_as_20: scratch never gets there."
    assert abs(found["lead_at_end"] - 7.5) <= 1.5, "lead_at_end is read too far from the curves."


def confounds(random):
    """Records of runs that differ in a few settings; other epochs may be equal steps."""
    for _ in range(12):
        one = {
            "start": str(random.choice(STARTS)),
            "labels": int(random.integers(50, 500)),
            "batch_size": int(random.choice([16, 32, 64])),
            "epochs": int(random.integers(5, 40)),
            "lr": 0.01,
            "seed": 3,
        }
        other = dict(one)
        for name in random.choice(list(one), size=2, replace=False):
            other[name] = random.permutation(STARTS)[0] if name == "start" else 2 * one[name]
            other[name] = str(other[name]) if name == "start" else other[name]
        if random.random() < 0.5:
            other["augmented"] = True
        changed = [name for name in other if one.get(name) != other[name]]
        yield one, other, str(random.choice(changed))


def paired_gap(random):
    for n in (2, 3, 5, 12, 40):
        luck = random.normal(scale=10, size=n)
        scratch = 70 + luck
        yield (scratch + random.normal(4, 2, size=n)).tolist(), scratch.tolist()


def cheapest(random):
    """Intervals around the target, and a target that nobody reaches."""
    for target in (60, 65, 70, 75, 80, 85, 90, 95, 200) * 2:
        tried = []
        for start in STARTS[::2]:
            for labels in random.choice(range(10, 900), size=5, replace=False):
                low = min(target, 90) + float(random.integers(-5, 4))
                tried.append({"start": start, "labels": int(labels), "low": low, "high": low + 5})
        fees = {"from scratch": 0.0, "fine-tuned": float(random.uniform(0, 600))}
        yield tried, target, float(random.uniform(0.2, 3)), fees


def same_photo(random):
    for photos in (2, 3, 6):
        photo = random.integers(0, photos, size=30)
        description = random.normal(size=(30, 4)) + photo[:, None]
        yield torch.tensor(description), torch.tensor(photo)
