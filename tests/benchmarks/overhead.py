"""What `fit` itself costs per step, line by line, with a network that is almost empty.

    python tests/benchmarks/overhead.py

line_profiler measures every line of `train_one_epoch`. Its own clock adds about a microsecond to
each line. The lines that call the network, backward and the optimizer are torch's; all others are
ours.
"""

import statistics
import subprocess
import sys
import time

import torch
from line_profiler import LineProfiler
from report import busy, write
from torch import nn
from torch.nn import functional as F

from transferlab import fit, train
from transferlab.data import MemoryDataset

SAMPLES, BATCH, EPOCHS, ROUNDS = 20_000, 64, 3, 7


def make() -> tuple[nn.Module, MemoryDataset]:
    x = torch.rand(SAMPLES, 8, generator=torch.Generator().manual_seed(0))
    data = MemoryDataset(x, (x.sum(1) > 4).long(), ["low", "high"], "points")
    torch.manual_seed(0)
    return nn.Linear(8, 2), data


def bare() -> float:
    """Return the seconds of the same steps in a loop written by hand."""
    model, data = make()
    optimizer = torch.optim.Adam(model.parameters(), 1e-3, fused=True)
    started = time.perf_counter()
    for _ in range(EPOCHS):
        order = torch.randperm(SAMPLES)
        for rows in order.split(BATCH):
            loss = F.cross_entropy(model(data.x[rows]), data.y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return time.perf_counter() - started


def ours() -> float:
    model, data = make()
    started = time.perf_counter()
    fit(model, data, epochs=EPOCHS, batch_size=BATCH, device="cpu")
    return time.perf_counter() - started


def import_ratio() -> float:
    """Return how long `import transferlab.train` takes, as a multiple of torch with torchvision."""

    def seconds(what: str) -> float:
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", f"import {what}"], check=True)
        return time.perf_counter() - started

    pairs = [(seconds("transferlab.train"), seconds("torch, torchvision")) for _ in range(ROUNDS)]
    return statistics.median(ours / theirs for ours, theirs in pairs)


def main() -> None:
    torch.set_num_threads(1)
    print(busy())
    print(f"import transferlab.train / import torch, torchvision: {import_ratio():.2f} (goal: 1.3)")
    steps = EPOCHS * -(-SAMPLES // BATCH)
    found: dict[str, list[float]] = {"bare loop": [], "fit": []}
    for _ in range(ROUNDS):
        found["bare loop"].append(bare())
        found["fit"].append(ours())
    per_step = {name: 1e6 * min(seconds) / steps for name, seconds in found.items()}
    ratio = statistics.median(a / b for a, b in zip(found["fit"], found["bare loop"], strict=True))
    for name, microseconds in per_step.items():
        print(f"{name:10} {microseconds:6.1f} µs per step (best of {ROUNDS})")
    print(f"fit / bare loop: {ratio:.2f} (median over rounds)\n")

    profiler = LineProfiler(train.train_one_epoch)
    model, data = make()
    options = {"epochs": EPOCHS, "batch_size": BATCH, "device": "cpu"}
    profiler.runcall(fit, model, data, **options)
    profiler.print_stats(output_unit=1e-6, stripzeros=True)
    write("overhead", {"µs per step": per_step, "ratio": ratio})


if __name__ == "__main__":
    main()
