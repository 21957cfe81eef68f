"""What the answers of chapter 3 are called with when they are marked: see `kit/classroom/judging`.

Each function draws inputs for the exercise of its name; what is right, the solved answer says.
"""

import numpy as np
import torch


def layer_backward(random):
    for _ in range(6):
        n, width, outputs = random.integers(1, 8, size=3)
        shapes = (n, width), (outputs, width), (outputs,), (n, outputs)
        yield tuple(torch.tensor(random.normal(size=shape)) for shape in shapes)


def scores_to_loss(random):
    """Scores of ordinary size, and so large that exp() overflows."""
    for scale in (1, 5, 30, 2000):
        n, classes = (int(size) for size in random.integers((1, 2), (20, 9)))
        scores = torch.tensor(random.normal(scale=scale, size=(n, classes)))
        yield scores, torch.tensor(random.integers(0, classes, size=n))


def adam_step(random):
    for t in (1, 2, 7, 300):
        width = int(random.integers(1, 6))
        theta, gradient, m = (torch.tensor(random.normal(size=width)) for _ in range(3))
        v = torch.tensor(random.exponential(size=width))
        if t == 2:  # so small that ε is seen, and where it stands
            gradient, m, v = gradient * 1e-8, m * 1e-8, v * 1e-16
        if t == 1:
            m, v = torch.zeros_like(m), torch.zeros_like(v)
        rates = random.uniform((1e-4, 0.5, 0.9), (0.1, 0.95, 0.9999)).tolist()
        yield theta, gradient, m, v, t, *rates


def sum_to_mean(random):
    for _ in range(8):
        yield *random.exponential(size=2).tolist(), int(random.integers(1, 500))


def contrast_loss(random):
    for temperature in (0.1, 0.5, 1.0, 3.0):
        n, width = random.integers(2, 9, size=2)
        one = torch.tensor(random.normal(size=(n, width)))
        yield one, one + torch.tensor(random.normal(size=(n, width))), temperature


def largest_rate(random):
    for _ in range(6):
        h, rate, start = random.uniform((0.5, 0.01, 0.1), (9, 0.1, 5)).tolist()
        yield [0.5 * h * (start * (1 - rate * h) ** step) ** 2 for step in range(8)], rate


def best_temperature(random):
    """Scores from careful to far too sure, right in about two of three cases."""
    for scale in (0.3, 2.0, 9.0, 30.0):
        n, classes = (int(size) for size in random.integers((30, 3), (90, 7)))
        y = random.integers(0, classes, size=n)
        said = np.where(random.uniform(size=n) < 0.7, y, random.integers(0, classes, size=n))
        scores = scale * (
            (said[:, None] == np.arange(classes)) + 0.1 * random.normal(size=(n, classes))
        )
        yield torch.tensor(scores), torch.tensor(y), [0.1, 0.3, 1.0, 3.0, 10.0, 30.0]
