"""What the answers of chapter 8 are called with when they are marked: see `kit/classroom/judging`.

Each function draws inputs for the exercise of its name; what is right, the solved answer says, or
a function `check_…` where more than one value is right.
"""

from itertools import pairwise

import numpy as np
import torch

# of a state dict, in its order
SHAPES = {
    "stem.weight": (4, 3),
    "norm.weight": (4,),
    "norm.bias": (4,),
    "norm.running_mean": (4,),
    "norm.running_var": (4,),
    "norm.num_batches_tracked": (),
    "body.head.weight": (2, 4),  # in the middle of a name it is not the head
    "head.weight": (5, 4),
    "head.bias": (5,),
}


def faults_of(random):
    """Numbers that fall, rise or stay; none of them is near the margin."""
    for margin in (3, 5, 10, 10, 20, 30) * 3:
        numbers = [float(random.uniform(95, 100))]
        for _ in range(4):
            change = float(random.choice([-2, -1.4, -0.6, -0.2, 0.2, 1.4])) * margin
            numbers.append(round(min(100.0, max(0.0, numbers[-1] + change)), 1))
        falls = [a - b for a, b in pairwise(numbers)]
        if all(abs(fall - margin) > 0.2 for fall in falls):
            yield numbers, margin
    yield [100.0, 12.0, 70.0, 71.0, 20.0], 15
    yield [99.0, 75.0, 50.0, 24.0, 10.0], 10


def read_losses(random):
    yield ()


def check_read_losses(found):
    """More than one step is good enough for the names."""
    causes = "validation prepared otherwise", "rate too high", "overfitting", "rate too low"
    for run, cause in zip("ABCD", causes, strict=True):
        assert found[run] == cause, f"{run}: what makes its two curves look like this?"
    assert found["keep_for_loss"] == 10, "keep_for_loss: where is C's validation loss lowest?"
    assert found["keep_for_names"] in range(40, 161, 10), (
        "keep_for_names: at that step the accuracy is more than a point below the best."
    )


def _scores(rows, label):
    """Return the score of each column, in another way than the solved answer."""
    scores = {}
    for column in rows[0]:
        named = 0
        for row in rows:
            count = {}
            for other in rows:
                if other[column] == row[column] and other is not row:
                    count[other[label]] = count.get(other[label], 0) + 1
            mine = count.pop(row[label], 0)
            named += mine > max(count.values(), default=0)
        scores[column] = named / len(rows)
    del scores[label]
    return sorted(scores.values())


def gives_away(random):
    """Tables with a column that knows the label more or less, an own name, and a rare remark."""
    made = 0
    while made < 12:
        n, label = int(random.integers(12, 30)), str(random.choice(["label", "species"]))
        labels = random.integers(0, int(random.integers(2, 4)), size=n)
        lost = random.random(n) < random.choice([0, 0.1, 0.5])
        camera = np.where(lost, random.integers(0, 3, size=n), labels).tolist()
        rows = []
        for row, y in enumerate(labels):
            known = {"file": row, "camera": camera[row], "ward": int(random.integers(0, 3))}
            known |= {"remark": int(row < 2), label: f"class {y}"}
            names = random.permutation(list(known)).tolist() if row == 0 else list(rows[0])
            rows.append({name: known[name] for name in names})
        least = float(random.choice([0.55, 0.7, 0.9]))
        *_, second, best = _scores(rows, label)
        if best - second > 0.02 and abs(best - least) > 0.02:
            made += 1
            yield rows, label, least


def what_moved(random):
    """One to three tensors move, by much or by nearly nothing, or none at all."""
    for count in (0, 1, 1, 1, 1, 2, 3) * 2:
        before = {name: torch.tensor(random.normal(size=s)) for name, s in SHAPES.items()}
        before["norm.num_batches_tracked"] = torch.tensor(int(random.integers(0, 99)))
        after = {name: tensor.clone() for name, tensor in before.items()}
        for name in random.choice(list(SHAPES), size=count, replace=False).tolist():
            if name == "norm.num_batches_tracked":
                after[name] += 1
            elif random.random() < 0.4:
                after[name] = after[name].flip(0)  # the sum is as before
            else:
                after[name].view(-1)[-1] += float(random.choice([1e-7, 1e-3, 1.0]))
        yield before, after
    for name in ("norm.running_var", "norm.weight", "body.head.weight", "stem.weight"):
        after = {key: tensor.clone() for key, tensor in before.items()}
        after[name].view(-1)[0] += 1e-7
        yield before, after


def what_next(random):
    """No gain and no gap is near its limit; some runs get worse at the end."""
    for length in (2, 3, 4, 6) * 5:
        history = [tuple(random.uniform(20, 60, size=2).round(1).tolist()) for _ in range(length)]
        gain = float(random.choice([-6, -4, -1, 2, 2.5, 4, 12]))
        gap = float(random.choice([-3, 2, 7, 9, 30]))
        validation = history[-2][1] + gain
        history[-1] = round(validation + gap, 1), round(validation, 1)
        yield (history,)
