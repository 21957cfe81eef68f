"""What the answers of chapter 7 are called with when they are marked: see `kit/classroom/judging`.

Each function draws inputs for the exercise of its name; what is right, the solved answer says, or
a function `check_…` where more than one value is right.
"""

import numpy as np
import torch

from transferlab.kit.classroom.values import Here


def private_mean(random):
    """Without noise the result is known; with noise the visible check looks at its spread."""
    for _ in range(6):
        n, width = random.integers(2, 9, size=2)
        sizes = torch.tensor(random.exponential(2, size=(n, 1)))
        gradients = sizes * torch.tensor(random.normal(size=(n, width)))
        gradients[0] = 0  # a sample that teaches nothing
        yield gradients, float(random.uniform(0.2, 3)), 0.0, int(random.integers(4, 40))


def vote_error(random):
    for p in random.uniform(size=8):
        yield (float(p),)


def what_to_buy(random):
    """Errors that rise with the mistakes; no two purchases are close."""
    made = 0
    while made < 16:
        shares = [0.0, *sorted((random.choice(range(1, 50), size=4, replace=False) / 100).tolist())]
        errors = np.cumsum(random.exponential(5, size=(2, 5)), axis=1).round(1)
        errors[1] += random.uniform(-2, 4)  # fewer images are worse, mostly
        many, few = (dict(zip(shares, line.tolist(), strict=True)) for line in errors)
        one = float(random.uniform(0.02, shares[-1]))
        three = one * float(random.choice([0.05, 0.3, 0.6, 1.0]))
        gap = np.interp(one, shares, errors[0]) - np.interp(three, shares, errors[1])
        if abs(gap) > 0.3:
            made += 1
            yield one, three, many, few


def read_scaling(random):
    yield ()


def check_read_scaling(found):
    """A reading with the eye is good enough."""
    for name, value, near in (
        ("first_tenfold", 6.2, 1),
        ("last_tenfold", 1.5, 1),
        ("law_misses", -2.9, 1),
        ("naive_misses", -0.4, 0.3),
    ):
        assert abs(found[name] - value) <= near, f"{name} is read too far from the curves."
    assert found["pay_for"] == "digits", "pay_for: what did the last step of the curve bring?"


def most_important(random):
    """A score that is a sum over squares; one square is needed more than all others."""
    made = 0
    while made < 8:
        channels, rows, columns, size = (
            int(n) for n in random.integers((1, 1, 2, 2), (4, 4, 6, 5))
        )
        image = random.uniform(size=(channels, rows, columns))
        image[:, random.random((rows, columns)) < 0.3] = 0  # black squares
        weights = random.normal(size=image.shape).round(2)
        falls = (weights * (image - image.mean(axis=(1, 2), keepdims=True))).sum(axis=0)
        *_, second, most = np.sort(falls, axis=None)
        if most > 0 and most - second > 0.05:
            made += 1
            score = f"(F.avg_pool2d(images, {size}) * torch.tensor({weights.tolist()}))"
            pixels = torch.tensor(image.repeat(size, axis=1).repeat(size, axis=2))
            yield Here(f"lambda images: {score}.sum(dim=(1, 2, 3))"), pixels, size


def check_most_important(found, score, image, size):
    """Row and column may come as a list or as a tensor."""
    image, scores = image.double(), {}
    mean = image.mean(dim=(1, 2), keepdim=True)
    for row in range(image.shape[1] // size):
        for column in range(image.shape[2] // size):
            covered = image.clone()
            covered[:, row * size : (row + 1) * size, column * size : (column + 1) * size] = mean
            scores[row, column] = score(covered[None]).item()
    expected = min(scores, key=scores.get)
    found = tuple(int(number) for number in found)
    assert found == expected, f"expected the square {expected}, found {found}."


def true_positive_rate(random):
    """Losses with ties, and shares from none to all."""
    for alpha in (0.0, 0.03, 0.1, 0.3, 0.77, 1.0):
        n, m = random.integers(3, 60, size=2)
        yield (
            torch.tensor([*random.exponential(1, size=n).round(1), 99.0]),  # one is never learnt
            torch.tensor(random.exponential(1.5, size=m).round(1)),
            alpha,
        )


def tasks_to_pay_back(random):
    for most in (90,) * 10 + (1,) * 4:  # some weights cost nothing
        yield tuple(random.integers((0, 1, 1), (most, 15, 15)).tolist())
