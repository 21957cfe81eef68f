"""How time and memory grow with the number of samples N and the width of the features D.

    python tests/benchmarks/growth.py                 # about 4 minutes
    python tests/benchmarks/growth.py --quick

A task whose time is c · N^p is a straight line of slope p in a figure with two logarithmic axes:
1 is linear. Small sizes show the fixed cost as well and make the slope too flat. Memory is how far
the process grew during the task, at its peak (Linux only: there an old peak can be forgotten).
"""

import argparse
import gc
import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from report import busy, table, write

from transferlab import fit, freeze, load_backbone
from transferlab.data import MemoryDataset
from transferlab.features import extract_features
from transferlab.select import h_score, knn, logme

CLASSES = 10


def images(n: int) -> MemoryDataset:
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(256, (n, 1, 8, 8), dtype=torch.uint8, generator=generator)
    return MemoryDataset(x, torch.arange(n) % CLASSES, [str(i) for i in range(CLASSES)], "noise")


def vectors(n: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(n, width, generator=generator), torch.arange(n) % CLASSES


def train_mlp(n: int) -> Callable[[], object]:
    model, data = load_backbone("mlp", num_classes=CLASSES, size=8, seed=0), images(n)
    return lambda: fit(model, data, epochs=1, device="cpu")


def compute_features(n: int) -> Callable[[], object]:
    model, data = load_backbone("small_cnn", num_classes=CLASSES, seed=0), images(n)
    freeze(model)
    return lambda: extract_features(model, data, device="cpu")


def score(function: Callable, n: int, width: int) -> Callable[[], object]:
    features, y = vectors(n, width)
    return lambda: function(features, y)


# name → (what grows, its sizes, task of one size)
TASKS: dict[str, tuple[str, list[int], Callable[[int], Callable[[], object]]]] = {
    "fit, one epoch of an MLP": ("N", [3_000, 10_000, 30_000, 100_000], train_mlp),
    "extract_features, small CNN": ("N", [1_000, 3_000, 10_000, 30_000], compute_features),
    "logme, D = 128": ("N", [1_000, 10_000, 100_000], lambda n: score(logme, n, 128)),
    "h_score, D = 128": ("N", [1_000, 10_000, 100_000], lambda n: score(h_score, n, 128)),
    "knn, D = 128": ("N", [1_000, 3_000, 10_000], lambda n: score(knn, n, 128)),
    "logme, N = 2,000": ("D", [64, 256, 1024, 2048], lambda d: score(logme, 2_000, d)),
    "h_score, N = 2,000": ("D", [64, 256, 1024, 2048], lambda d: score(h_score, 2_000, d)),
}


def seconds(task: Callable[[], object], repeats: int) -> float:
    """Return the shortest of a few runs, after one to warm up."""
    task()
    times = []
    for _ in range(repeats):
        gc.collect()
        started = time.perf_counter()
        task()
        times.append(time.perf_counter() - started)
    return min(times)


def exponent(sizes: list[int], values: list[float]) -> float:
    """Return the slope of log(value) over log(size), by least squares."""
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])


def grown_mb(task: Callable[[], object]) -> float:
    """Return how far memory grew during a task, in MB; NaN where nobody tells."""
    gc.collect()
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return math.nan
    before = _memory("VmRSS")
    task()
    return _memory("VmHWM") - before


def _memory(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="without the largest sizes")
    asked = parser.parse_args()
    print(busy())
    rows, found = [], {}
    for name, (letter, sizes, make) in TASKS.items():
        sizes = sizes[:-1] if asked.quick else sizes
        tasks = [make(size) for size in sizes]
        times = [seconds(task, repeats=3) for task in tasks]
        grown = [grown_mb(task) for task in tasks]
        # From the second size on: at the first, the fixed cost is most of the time.
        slope = exponent(sizes[1:], times[1:]) if len(sizes) > 2 else exponent(sizes, times)
        found[name] = {"sizes": sizes, "seconds": times, "exponent": slope, "grown MB": grown}
        shown = "  ".join(f"{size:,}: {t:.3f}" for size, t in zip(sizes, times, strict=True))
        memory = "  ".join(f"{mb:.0f}" for mb in grown)
        rows.append((name, letter, shown, f"{slope:.2f}", memory))
        print(f"  {name}: exponent {slope:.2f}", flush=True)
    columns = ("", "grows", "seconds", "exponent", "MB grown")
    table("Time and memory against size", columns, rows)
    write("growth", found)


if __name__ == "__main__":
    main()
