"""ResNet-50 on a GPU: images per second of fine-tuning, ours and a plain loop, and the floor.

    python tests/benchmarks/gpu.py

The floor is what the arithmetic alone would take: the operations of a step (three times those of
the forward pass) over the rate of matrix products that this GPU reaches in a measurement of its
own, at the same precision.
"""

import argparse
import statistics
import time

import torch
from report import table, write
from torch.nn import functional as F

from transferlab import fit, load_backbone
from transferlab.data import MemoryDataset
from transferlab.select import cost

SAMPLES, BATCH, SIZE, ROUNDS = 2048, 128, 224, 5
TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def matrix_rate(precision: str, n: int = 8192) -> float:
    """Return operations per second of large matrix products."""
    a, b = (torch.rand(n, n, device="cuda", dtype=TYPES[precision]) for _ in range(2))
    times = []
    for _ in range(10):
        torch.cuda.synchronize()
        started = time.perf_counter()
        a @ b
        torch.cuda.synchronize()
        times.append(time.perf_counter() - started)
    return 2 * n**3 / min(times)


def ours(data: MemoryDataset, **options) -> float:
    """Return the seconds of one epoch, the second one: the first compiles and warms up."""
    model = load_backbone("resnet50", num_classes=10, seed=0)
    history = fit(model, data, epochs=2, batch_size=BATCH, device="cuda", **options)
    return history.seconds[-1]


def plain(data: MemoryDataset, precision: str) -> float:
    """Return the seconds of one epoch in a loop written by hand."""
    model = load_backbone("resnet50", num_classes=10, seed=0).cuda()
    optimizer = torch.optim.Adam(model.parameters(), 1e-3, fused=True)
    model.train()
    for _ in range(2):
        torch.cuda.synchronize()
        started = time.perf_counter()
        for rows in torch.randperm(len(data), device="cuda").split(BATCH):
            with torch.autocast("cuda", TYPES[precision], enabled=precision != "float32"):
                loss = F.cross_entropy(model(data.x[rows].float() / 255), data.y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        torch.cuda.synchronize()
        seconds = time.perf_counter() - started
    return seconds


def main() -> None:
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    if not torch.cuda.is_available():
        print("There is no GPU here (torch.cuda.is_available() is False): nothing was measured.")
        return
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(256, (SAMPLES, 3, SIZE, SIZE), dtype=torch.uint8, generator=generator)
    data = MemoryDataset(x, torch.arange(SAMPLES) % 10, [str(i) for i in range(10)], "noise")
    data = data.to("cuda")
    flops = 3 * cost(load_backbone("resnet50", num_classes=10), device="cuda").flops
    rows, found = [], {}
    for precision in TYPES:
        floor = matrix_rate(precision) / flops
        fast = {"precision": precision, "channels_last": True}
        runs = {
            "plain loop": lambda precision=precision: plain(data, precision),
            "TransferLab": lambda precision=precision: ours(data, precision=precision),
            "TransferLab, channels_last": lambda fast=fast: ours(data, **fast),
            "TransferLab, channels_last, compiled": lambda fast=fast: ours(
                data, compile=True, **fast
            ),
        }
        seconds = {name: [] for name in runs}
        for _ in range(ROUNDS):
            for name, run in runs.items():
                seconds[name].append(run())
        for name, times in seconds.items():
            pairs = zip(seconds["plain loop"], times, strict=True)
            ratio = statistics.median(a / b for a, b in pairs)
            rate = SAMPLES / statistics.median(times)
            found[f"{precision}: {name}"] = {"images per second": rate, "speed-up": ratio}
            share = f"{100 * rate / floor:.0f} %"
            rows.append((precision, name, f"{rate:,.0f}", f"{ratio:.2f}", share))
    columns = ("precision", "", "images/s", "speed-up", "of the floor's rate")
    table(f"ResNet-50, {torch.cuda.get_device_name()}, batch {BATCH}", columns, rows)
    write("gpu", found)


if __name__ == "__main__":
    main()
