"""Do the scores predict which pre-trained model fine-tunes best? Rank correlation on 11 sources.

    python tests/benchmarks/ranking.py            # under ten minutes on one core
    python tests/benchmarks/ranking.py --quick    # does it run?

Small CNNs are pre-trained for the same number of steps on different data: letters, letters with
wrong labels, five letters only, a small pool of them, other generated and real images; one for a
tenth of the steps, one not at all. Then 5 or 20 labelled digits per class are drawn, five times.
For each draw every score is computed on the labelled digits, and every model is fine-tuned on them
and measured on the other half of the digits. Nothing was tuned on these numbers.

The first tables say how each score orders the models compared with the real accuracy. Both are
means over the draws; "one draw" is the mean τ of the scores of single draws, with its 95 %
interval. A score is worth something if it beats the same score with shuffled labels, the accuracy
on the source's own data, and the number of its classes, which cost nothing. The last table says how
the time of LogME and H-score grows. All goes to build/bench/ranking.md, every number to
ranking.json.
"""

import argparse
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch

from transferlab import evaluate, pretrain, rank_models
from transferlab.data import (
    MemoryDataset,
    digits,
    draw_letters,
    few_shot,
    fractals,
    letters,
    photo_patches,
    shapes,
    split,
    textures,
)
from transferlab.device import seeded
from transferlab.metrics import interval
from transferlab.models import Backbone, small_cnn
from transferlab.select import (
    SCORES,
    Ranking,
    fine_tuned_accuracy,
    h_score,
    logme,
    rank_correlation,
)

WIDTHS = (16, 16, 32, 32, 64)  # half the course's small CNN
LABELS = (5, 20)  # per class
BATCH = 256
UNSEEN = 2000  # samples of the source, to measure the accuracy on its own data
SIZES = {"N": (1000, 3000, 10_000, 30_000, 100_000), "D": (64, 128, 256, 512, 1024, 2048)}


def wrong_labels(data: MemoryDataset, share: float, seed: int) -> MemoryDataset:
    """Give a share of the samples a label that is drawn from all classes."""
    draw = torch.Generator().manual_seed(seed)
    wrong = torch.rand(len(data), generator=draw) < share
    any_class = torch.randint(len(data.classes), (len(data),), generator=draw)
    return MemoryDataset(data.x, torch.where(wrong, any_class, data.y), data.classes, data.name)


def five_letters(n: int, seed: int) -> MemoryDataset:
    draw = torch.Generator().manual_seed(seed)
    y = torch.randint(5, (n,), generator=draw)
    x = torch.cat([draw_letters(part, draw) for part in y.split(2048)])
    return MemoryDataset(x, y, list("ABCDE"), "letters A to E")


def sources(n: int, seed: int) -> dict[str, MemoryDataset]:
    """Return n samples of each source (those of the small pool are repeated)."""
    alphabet = letters(n, seed=seed)
    grey = {"size": 8, "channels": 1, "seed": seed}
    return {
        "letters": alphabet,
        "letters, 30 % wrong": wrong_labels(alphabet, 0.3, seed),
        "letters, all wrong": wrong_labels(alphabet, 1.0, seed),
        "letters A to E": five_letters(n, seed),
        "1,000 letters": alphabet.subset(torch.arange(min(1000, n))),
        "letters, a tenth of the steps": alphabet,
        "fractals": fractals(n, **grey),
        "shapes": shapes(n, **grey),
        "textures": textures(n, **grey),
        "photos": photo_patches(n, **grey),
        "random weights": alphabet,
    }


def pretrained(steps: int) -> tuple[dict[str, Backbone], dict[str, float]]:
    """Return a network for each source, and its accuracy on unseen data of the source."""
    unseen = sources(UNSEEN, seed=2_000_000)
    models, accuracies = {}, {}
    for number, (name, data) in enumerate(sources(steps * BATCH, seed=1_000_000).items()):
        started = time.perf_counter()
        with seeded(number):
            models[name] = small_cnn(len(data.classes), widths=WIDTHS)
        taken = {"random weights": 0, "letters, a tenth of the steps": max(1, steps // 10)}
        if budget := taken.get(name, steps):
            options = {"batch_size": BATCH, "device": "cpu"}
            pretrain.supervised(models[name], data, steps=budget, **options)
        accuracies[name] = evaluate(models[name], unseen[name], device="cpu").accuracy
        seconds = time.perf_counter() - started
        print(f"{name:30} {seconds:6.1f} s   {accuracies[name]:.1%} of its own data", flush=True)
    return models, accuracies


def rankings(
    models: dict[str, Backbone], own: dict[str, float], per_class: int, draws: int, steps: int
) -> list[Ranking]:
    """Return one ranking per draw of labelled digits."""
    found = []
    for draw in range(draws):
        labelled, held_out = split(digits(), (0.5, 0.5), seed=draw)
        few = few_shot(labelled, per_class, seed=draw)
        options = {"train": few, "held_out": held_out, "steps": steps, "batch_size": 32}
        accuracy = partial(fine_tuned, **options)
        started = time.perf_counter()
        found.append(
            rank_models(
                models,
                few,
                fine_tuned=accuracy,
                seeds=[draw],
                source_accuracy=own,
                device="cpu",
                seed=draw,
            )
        )
        print(f"{per_class} labels, draw {draw}: {time.perf_counter() - started:.0f} s", flush=True)
    return found


def fine_tuned(model: Backbone, seed: int, **options: object) -> float:
    return fine_tuned_accuracy(model, seed=seed, device="cpu", **options)


def averages(found: list[Ranking], models: dict[str, Backbone]) -> dict[str, dict[str, float]]:
    """Return predictor → model → mean over the draws; the last ones do not look at the digits."""
    table = {
        score: {m: float(np.mean([r.scores[m][score] for r in found])) for m in models}
        for score in SCORES
    }
    noise = {
        f"{score}, shuffled": {
            m: float(np.mean([r.noise[m][score] for r in found])) for m in models
        }
        for score in SCORES
    }
    free = {
        "source accuracy": found[0].source_accuracy,
        "source classes": {m: float(model.num_classes) for m, model in models.items()},
    }
    return {**table, **noise, **free}


def agreement(found: list[Ranking], models: dict[str, Backbone]) -> list[dict]:
    """Return for each predictor how its order of the models agrees with the real one."""
    real = [np.mean([r.fine_tuned[m][0] for r in found]) for m in models]
    rows = []
    for name, values in averages(found, models).items():
        c = rank_correlation([values[m] for m in models], real)
        row = {"predictor": name, "tau": c.kendall, "p": c.p, "weighted": c.weighted}
        row["spearman"] = c.spearman
        if name in SCORES:
            single = [
                rank_correlation([r.scores[m][name] for m in models], real).kendall for r in found
            ]
            t = interval(np.nan_to_num(single))  # equal scores have no order: τ counts as 0
            row["one draw"] = (t.mean, t.low, t.high)
            row["beats noise"] = sum(r.beats_noise(m, name) for r in found for m in models)
        rows.append(row)
    return rows


def agreement_table(rows: list[dict], cases: int) -> str:
    head = "| predictor | Kendall τ | p | weighted τ | Spearman ρ | τ of one draw | beats noise |"
    lines = [head, "| --- |" + " ---: |" * 6]
    for row in rows:
        one = "{:.2f} [{:.2f}, {:.2f}]".format(*row["one draw"]) if "one draw" in row else ""
        beats = f"{row['beats noise']} of {cases}" if "beats noise" in row else ""
        numbers = "{tau:.2f} | {p:.3f} | {weighted:.2f} | {spearman:.2f}".format(**row)
        lines.append(f"| {row['predictor']} | {numbers} | {one} | {beats} |")
    return "\n".join(lines)


def model_table(found: list[Ranking], models: dict[str, Backbone]) -> str:
    """Return the models, the best first, with the means of all scores."""
    means = averages(found, models)
    runs = {m: [100 * r.fine_tuned[m][0] for r in found] for m in models}
    lines = [
        "| source | fine-tuned % | own data % | " + " | ".join(SCORES) + " |",
        "| --- |" + " ---: |" * (2 + len(SCORES)),
    ]
    for m in sorted(models, key=lambda name: -np.mean(runs[name])):
        cells = [str(interval(runs[m])), f"{100 * means['source accuracy'][m]:.1f}"]
        cells += [f"{means[score][m]:.3f}" for score in SCORES]
        lines.append(f"| {m} | {' | '.join(cells)} |")
    return "\n".join(lines)


def growth(quick: bool) -> list[dict]:
    """Time LogME and H-score on growing data: N samples of 128 numbers, 2,000 samples of D."""
    rows = []
    for score in (logme, h_score):
        for grows, sizes in SIZES.items():
            sizes = sizes[:3] if quick else sizes
            seconds = []
            for size in sizes:
                n, d = (size, 128) if grows == "N" else (2000, size)
                draw = torch.Generator().manual_seed(size)
                features = torch.randn(n, d, generator=draw).relu()
                labels = torch.randint(10, (n,), generator=draw)
                seconds.append(quickest(lambda f=features, y=labels, s=score: s(f, y)))
            slope = np.polyfit(np.log(sizes[-3:]), np.log(seconds[-3:]), 1)[0]
            about = {"score": score.__name__, "grows": grows, "exponent": float(slope)}
            rows.append({**about, "sizes": sizes, "seconds": seconds})
    return rows


def quickest(call: Callable[[], object], repeats: int = 3) -> float:
    """Return the smallest of a few times: noise of the machine only adds."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return min(times)


def growth_table(rows: list[dict]) -> str:
    lines = [
        "| score | grows | seconds | exponent of the last three |",
        "| --- | --- | --- | ---: |",
    ]
    for row in rows:
        pairs = zip(row["sizes"], row["seconds"], strict=True)
        times = ", ".join(f"{size:,}: {seconds:.3f}" for size, seconds in pairs)
        lines.append(f"| {row['score']} | {row['grows']} | {times} | {row['exponent']:.2f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--draws", type=int, default=5, help="draws of labelled digits")
    parser.add_argument(
        "--steps", type=int, default=400, help=f"of pre-training, {BATCH} images each"
    )
    parser.add_argument(
        "--tuning", type=int, default=200, help="steps of fine-tuning, 32 images each"
    )
    parser.add_argument("--quick", action="store_true", help="2 draws, few steps: does it run?")
    parser.add_argument(
        "--to", type=Path, default=Path("build/bench"), help="folder for the results"
    )
    options = parser.parse_args()
    if options.quick:
        options.draws, options.steps, options.tuning = 2, 5, 5
    torch.set_num_threads(1)  # such small networks gain nothing from a second thread

    started = time.perf_counter()
    models, own = pretrained(options.steps)
    parts, content = [], {"options": {k: str(v) for k, v in vars(options).items()}}
    for per_class in LABELS:
        found = rankings(models, own, per_class, options.draws, options.tuning)
        rows = agreement(found, models)
        cases = len(models) * len(found)
        title = f"{per_class} labels per class, {len(models)} models, {len(found)} draws"
        tables = [agreement_table(rows, cases), model_table(found, models)]
        parts += [f"**{title}**", *tables]
        content[f"{per_class} labels"] = {
            "agreement": rows,
            "scores": [r.scores for r in found],
            "noise": [r.noise for r in found],
            "fine-tuned": [r.fine_tuned for r in found],
        }
    content["source accuracy"] = own
    content["growth"] = growth(options.quick)
    parts += [
        "**Growth** (128 numbers per sample, or 2,000 samples)",
        growth_table(content["growth"]),
    ]
    content["minutes"] = (time.perf_counter() - started) / 60
    parts.append(f"{content['minutes']:.1f} minutes; torch {torch.__version__}, 1 thread.")
    text = "\n\n".join(parts) + "\n"
    print(f"\n{text}")
    options.to.mkdir(parents=True, exist_ok=True)
    (options.to / "ranking.md").write_text(text, encoding="utf-8")
    (options.to / "ranking.json").write_text(json.dumps(content, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
