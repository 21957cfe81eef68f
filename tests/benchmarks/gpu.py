"""ResNet-50 on a GPU: images per second of fine-tuning, ours and a plain loop, and the floor.

    python tests/benchmarks/gpu.py

The floor is what the arithmetic alone would take: the operations of a step (three times those of
the forward pass) over the rate of matrix products that this GPU reaches in a measurement of its
own, at the same precision.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from report import table, write
from torch.nn import functional as F

from transferlab import fit, load_backbone
from transferlab.data import MemoryDataset
from transferlab.scale import Scale
from transferlab.select import cost

TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def now(device: str) -> float:
    """Return the time when all work given to the device is done."""
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def matrix_rate(precision: str, device: str) -> float:
    """Return operations per second of large matrix products."""
    n = 8192 if device == "cuda" else 1024
    a, b = (torch.rand(n, n, device=device, dtype=TYPES[precision]) for _ in range(2))
    times = []
    for _ in range(10):
        started = now(device)
        a @ b
        times.append(now(device) - started)
    return 2 * n**3 / min(times)


def network(size: int) -> torch.nn.Module:
    """Return ResNet-50 for images of this size, with random weights."""
    return load_backbone("resnet50", num_classes=10, size=size, seed=0)


def ours(data: MemoryDataset, batch: int, device: str, scale: Scale) -> float:
    """Return the seconds of one epoch, the second one: the first compiles and warms up."""
    model = network(data.x.shape[-1])
    return fit(model, data, epochs=2, batch_size=batch, device=device, scale=scale).seconds[-1]


def plain(data: MemoryDataset, batch: int, device: str, precision: str) -> float:
    """Return the seconds of one epoch in a loop written by hand."""
    model = network(data.x.shape[-1]).to(device)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3, fused=True)
    model.train()
    for _ in range(2):
        started = now(device)
        for rows in torch.randperm(len(data), device=device).split(batch):
            with torch.autocast(device, TYPES[precision], enabled=precision != "float32"):
                loss = F.cross_entropy(model(data.x[rows].float() / 255), data.y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        seconds = now(device) - started
    return seconds


def noise(samples: int, size: int) -> MemoryDataset:
    """Return images of noise as bytes, in ten classes."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(256, (samples, 3, size, size), dtype=torch.uint8, generator=generator)
    return MemoryDataset(x, torch.arange(samples) % 10, [str(i) for i in range(10)], "noise")


def in_rounds(runs: dict[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each run in each round, and print them as they come."""
    seconds = {name: [] for name in runs}
    for number in range(1, rounds + 1):
        for name, run in runs.items():
            seconds[name].append(run())
            print(f"round {number}, {name}: {seconds[name][-1]:.3f} s", flush=True)
    return seconds


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda", choices=("cpu", "cuda"))
    parser.add_argument("--precision", nargs="+", default=list(TYPES), choices=list(TYPES))
    parser.add_argument("--out", type=Path, help="the results (build/bench/gpu.json)")
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, default=True)
    for name, number in {"samples": 2048, "batch": 128, "size": 224, "rounds": 5}.items():
        parser.add_argument(f"--{name}", type=int, default=number)
    return parser.parse_args()


def main() -> None:
    given = options()
    device, batch = given.device, given.batch
    if device == "cuda" and not torch.cuda.is_available():
        print("There is no GPU here (torch.cuda.is_available() is False): nothing was measured.")
        return
    data = noise(given.samples, given.size).to(device)
    flops = 3 * cost(network(given.size), device=device).flops
    rows, found = [], {}
    for precision in given.precision:
        floor = matrix_rate(precision, device) / flops
        scales = {
            "TransferLab": Scale(precision),
            "TransferLab, channels_last": Scale(precision, channels_last=True),
        }
        if given.compile:
            compiled = Scale(precision, channels_last=True, compile=True)
            scales["TransferLab, channels_last, compiled"] = compiled
        runs = {"plain loop": lambda precision=precision: plain(data, batch, device, precision)}
        for name, scale in scales.items():
            runs[name] = lambda scale=scale: ours(data, batch, device, scale)
        seconds = in_rounds(runs, given.rounds)
        for name, times in seconds.items():
            pairs = zip(seconds["plain loop"], times, strict=True)
            ratio = statistics.median(a / b for a, b in pairs)
            rate = given.samples / statistics.median(times)
            found[f"{precision}: {name}"] = {"images per second": rate, "speed-up": ratio}
            share = f"{100 * rate / floor:.0f} %"
            rows.append((precision, name, f"{rate:,.0f}", f"{ratio:.2f}", share))
    columns = ("precision", "", "images/s", "speed-up", "of the floor's rate")
    card = torch.cuda.get_device_name() if device == "cuda" else "CPU"
    table(f"ResNet-50, {card}, batch {batch}, {given.size} px", columns, rows)
    settings = {name: value for name, value in vars(given).items() if name != "out"}
    name = given.out.absolute().with_suffix("") if given.out else "gpu"  # in any folder
    write(str(name), {"settings": settings, "rates": found})


if __name__ == "__main__":
    main()
