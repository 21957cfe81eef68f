"""What the answers of chapter 7 are called with when they are marked: see `kit/classroom/judging`.

Each function draws inputs for the exercise of its name; what is right, the solved answer says.
"""

import torch


def private_mean(random):
    """Without noise the result is known; with noise the visible check looks at its spread."""
    for _ in range(6):
        n, width = random.integers(2, 9, size=2)
        sizes = torch.tensor(random.exponential(2, size=(n, 1)))
        gradients = sizes * torch.tensor(random.normal(size=(n, width)))
        gradients[0] = 0  # a sample that teaches nothing
        yield gradients, float(random.uniform(0.2, 3)), 0.0, int(random.integers(4, 40))


def majority_vote(random):
    for people in (1, 2, 3, 5, 8):
        classes = int(random.integers(2, 7))
        votes = random.integers(-1, classes, size=(int(random.integers(3, 30)), people))
        yield torch.tensor(votes), classes


def vote_error(random):
    for p in random.uniform(size=8):
        yield (float(p),)


def linear_cka(random):
    for _ in range(6):
        n, one, two = (int(size) for size in random.integers((3, 1, 1), (40, 12, 12)))
        x = random.normal(random.normal(size=one), random.exponential(size=one), size=(n, one))
        y = x @ random.normal(size=(one, two)) + random.normal(2, 1, size=(n, two))
        yield torch.tensor(x), torch.tensor(y)


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
