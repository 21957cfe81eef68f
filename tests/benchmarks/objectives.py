"""Which way to pre-train is worth how much? Objective × (probe, fine-tune) × labels per class.

    python tests/benchmarks/objectives.py            # about a quarter of an hour on one core
    python tests/benchmarks/objectives.py --quick    # does it run?

A small CNN is pre-trained by each objective on letters (generated, none is seen twice) or on the
training half of the digits, without labels except for `supervised`. Then a few labelled digits are
given; the other half of the digits is the test. Each seed repeats everything: start weights,
pre-training, split, labelled digits, new head. Every row gets the same number of steps. Nothing was
tuned on these numbers.

Probe: logistic regression on the frozen features. Fine-tune: all weights. In the row without
pre-training they are the probe of random features and training from scratch. The first table says
percent of test digits right, mean and 95 % interval over the seeds; the second one the difference
to no pre-training, of pairs that share a seed. Both go to build/bench/objectives.md, all numbers to
objectives.json.
"""

import argparse
import copy
import json
import time
from pathlib import Path

import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch.utils.data import Dataset

from transferlab import evaluate, fit, freeze, pretrain
from transferlab.data import MemoryDataset, digits, few_shot, letters, split, unlabelled
from transferlab.device import seeded
from transferlab.features import extract_features
from transferlab.metrics import Interval, interval
from transferlab.models import Backbone, small_cnn

OBJECTIVES = ("supervised", "autoencoder", "denoising", "masked", "contrastive", "gan")
NOTHING = ("no pre-training", "—")  # objective and source of the row that all are compared with
WIDTHS = (16, 16, 32, 32, 64)  # half the course's small CNN: five whole repetitions are affordable
LABELS = (1, 5, 20)  # per class
BATCH = 256

Row = tuple[str, str]  # objective, source
Column = tuple[str, int]  # "probe" or "fine-tune", labels per class


def pretrained(row: Row, source: Dataset | None, steps: int, seed: int) -> Backbone:
    """Return a network that is pre-trained as the row says, from the seed's start weights."""
    objective, _ = row
    with seeded(seed):
        model = small_cnn(len(source.classes) if source else 10, widths=WIDTHS)
    if source is not None:
        run = getattr(pretrain, objective)
        run(model, source, steps=steps, batch_size=BATCH, seed=seed, device="cpu")
    return model


def probe(model: Backbone, train: MemoryDataset, test: MemoryDataset) -> float:
    """Return the accuracy of a logistic regression on the frozen features, in percent."""
    model = copy.deepcopy(model)
    freeze(model)
    seen, unseen = (extract_features(model, part, device="cpu") for part in (train, test))
    return regression(seen, unseen)


def regression(train: MemoryDataset, test: MemoryDataset) -> float:
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    classifier.fit(train.x.flatten(1), train.y)
    return 100 * classifier.score(test.x.flatten(1), test.y)


def fine_tune(
    model: Backbone, train: MemoryDataset, test: MemoryDataset, steps: int, seed: int
) -> float:
    """Return the accuracy after training all weights with a new head, in percent."""
    model = copy.deepcopy(model)
    with seeded(seed):
        model.replace_head(len(train.classes))
    fit(
        model,
        train,
        steps=steps,
        batch_size=32,
        lr=1e-3,
        schedule="cosine",
        seed=seed,
        device="cpu",
    )
    return 100 * evaluate(model, test, device="cpu").accuracy


def measure(seeds: int, steps: int, tuning: int) -> dict[Row, dict[Column, list[float]]]:
    """Return the accuracies of every row and column, one for each seed."""
    pool = letters(steps * BATCH, seed=1_000_000)  # one epoch: no letter is seen twice
    found: dict[Row, dict[Column, list[float]]] = {}
    for seed in range(seeds):
        train, test = split(digits(), (0.5, 0.5), seed=seed)
        few = {count: few_shot(train, count, seed=seed) for count in LABELS}
        for count in LABELS:
            pixels = found.setdefault(("pixels as they are", "—"), {})
            pixels.setdefault(("probe", count), []).append(regression(few[count], test))
        sources: dict[Row, Dataset | None] = {NOTHING: None}
        sources |= {(objective, "letters"): pool for objective in OBJECTIVES}
        unlabelled_digits = unlabelled(train.x, "digits")
        sources |= {(name, "digits"): unlabelled_digits for name in OBJECTIVES[1:]}
        for row, source in sources.items():
            started = time.perf_counter()
            model = pretrained(row, source, steps, seed)
            seconds = time.perf_counter() - started
            columns = found.setdefault(row, {})
            for count in LABELS:
                by_probe = probe(model, few[count], test)
                tuned = fine_tune(model, few[count], test, tuning, seed)
                columns.setdefault(("probe", count), []).append(by_probe)
                columns.setdefault(("fine-tune", count), []).append(tuned)
            # probe and fine-tune for 1 label per class, then for 5, then for 20
            last = " ".join(f"{values[-1]:5.1f}" for values in columns.values())
            print(f"seed {seed}  {' on '.join(row):28} {seconds:6.1f} s   {last}", flush=True)
    return found


def table(found: dict[Row, dict[Column, list[float]]], less: Row | None = None) -> str:
    """Return a Markdown table; with `less`, of the paired differences to that row."""
    columns = [(kind, count) for kind in ("probe", "fine-tune") for count in LABELS]
    lines = [
        "| objective | source | " + " | ".join(f"{kind}, {n}" for kind, n in columns) + " |",
        "| --- | --- |" + " ---: |" * len(columns),
    ]
    for row, values in found.items():
        if row == less:
            continue
        cells = [
            cell(values.get(column), found[less][column] if less else None) for column in columns
        ]
        lines.append(f"| {' | '.join([*row, *cells])} |")
    return "\n".join(lines)


def cell(values: list[float] | None, base: list[float] | None) -> str:
    if values is None:
        return ""
    if base is None:
        return str(interval(values))
    difference = interval([a - b for a, b in zip(values, base, strict=True)])
    return f"{signed(difference)}{' *' if difference.excludes_zero else ''}"


def signed(found: Interval) -> str:
    return f"{found.mean:+.1f} [{found.low:+.1f}, {found.high:+.1f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=5, help="repetitions of everything")
    parser.add_argument(
        "--steps", type=int, default=300, help=f"of pre-training, {BATCH} images each"
    )
    parser.add_argument(
        "--tuning", type=int, default=200, help="steps of fine-tuning, 32 images each"
    )
    parser.add_argument("--quick", action="store_true", help="2 seeds, few steps: does it run?")
    parser.add_argument(
        "--to", type=Path, default=Path("build/bench"), help="folder for the results"
    )
    options = parser.parse_args()
    if options.quick:
        options.seeds, options.steps, options.tuning = 2, 5, 5
    torch.set_num_threads(1)  # such small networks gain nothing from a second thread

    started = time.perf_counter()
    found = measure(options.seeds, options.steps, options.tuning)
    minutes = (time.perf_counter() - started) / 60
    text = (
        f"Digits, percent right: {options.seeds} seeds, {options.steps} steps of {BATCH} of "
        f"pre-training, {options.tuning} steps of fine-tuning, {minutes:.1f} minutes.\n"
        f"Columns: probe or fine-tune, labels per class.\n\n{table(found)}\n\n"
        f"Difference to no pre-training (* the interval excludes 0):\n\n{table(found, NOTHING)}\n"
    )
    print(f"\n{text}")
    options.to.mkdir(parents=True, exist_ok=True)
    (options.to / "objectives.md").write_text(text, encoding="utf-8")
    rows = [
        {"objective": row[0], "source": row[1], "test": kind, "labels": n, "accuracy": values}
        for row, columns in found.items()
        for (kind, n), values in columns.items()
    ]
    about = {"seeds": options.seeds, "steps": options.steps, "tuning": options.tuning}
    content = {**about, "widths": WIDTHS, "batch": BATCH, "torch": torch.__version__, "rows": rows}
    (options.to / "objectives.json").write_text(json.dumps(content, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
