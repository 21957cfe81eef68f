"""What L2-SP costs: a training step of ResNet-18 without it, with it, and with it in autograd.

    python tests/benchmarks/penalty.py                # about 2 minutes

The autograd form adds λ Σ (θ − θ_pre)² to the loss and lets backward go through it, as the formula
is usually typed in. Ours adds its gradient after backward. Each round takes one step of every row,
so that a ratio compares steps of the same moment. Before the timing both forms take a few steps
from the same weights, and the weights they end with are compared.
"""

import argparse
import copy
import statistics
import sys
import time
from collections.abc import Callable

import torch
from report import busy, table, write
from torch import nn
from torch.nn import functional as F

from transferlab import load_backbone
from transferlab.finetune import L2SP

STRENGTH, LR = 0.01, 0.01
SAME = 1e-6
STEPS_COMPARED = 4


def make_step(
    start: nn.Module, x: torch.Tensor, y: torch.Tensor, how: str
) -> tuple[nn.Module, Callable[[], None]]:
    """Return a copy of the network, and a function that takes one step of training it."""
    model = copy.deepcopy(start)
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), LR, momentum=0.9)
    anchors = [p.detach().clone() for p in model.parameters()]
    penalty = L2SP(
        STRENGTH, head_strength=STRENGTH, head="no such layer", decoupled=how == "decoupled"
    )
    penalty.prepare(model, optimizer)

    def step() -> None:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        if how == "autograd":
            pairs = zip(model.parameters(), anchors, strict=True)
            loss = loss + STRENGTH * sum((p - a).square().sum() for p, a in pairs)
        loss.backward()
        if how in ("ours", "decoupled"):
            penalty.add_to_gradients()
        optimizer.step()

    return model, step


def difference(start: nn.Module, x: torch.Tensor, y: torch.Tensor) -> float:
    """Return how far apart the weights of both forms are after a few steps."""
    ends = []
    for how in ("ours", "autograd"):
        model, step = make_step(start, x, y, how)
        for _ in range(STEPS_COMPARED):
            step()
        ends.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
    return float((ends[0] - ends[1]).abs().max())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--size", type=int, default=64, help="height and width of the images")
    parser.add_argument("--batch", type=int, default=16)
    asked = parser.parse_args()
    print(f"ResNet-18, {asked.batch} images of {asked.size}×{asked.size}, SGD with momentum.")
    print(busy())
    torch.manual_seed(0)
    start = load_backbone("resnet18", num_classes=10, size=asked.size, seed=0)
    x = torch.rand(asked.batch, 3, asked.size, asked.size)
    y = torch.randint(10, (asked.batch,))

    apart = difference(start, x, y)
    print(
        f"After {STEPS_COMPARED} steps the weights of both forms differ by at most {apart:.1e}.\n"
    )
    if apart > SAME:
        sys.exit(f"expected at most {SAME:.0e}: the two forms are not the same penalty.")

    names = ("none", "ours", "decoupled", "autograd")
    steps = {how: make_step(start, x, y, how)[1] for how in names}
    seconds: dict[str, list[float]] = {how: [] for how in names}
    for number in range(asked.rounds + 2):
        for how, step in steps.items():
            started = time.perf_counter()
            step()
            if number >= 2:  # two rounds to warm up
                seconds[how].append(time.perf_counter() - started)
    rows, found = [], {}
    for how in names:
        ratio = [a / b for a, b in zip(seconds[how], seconds["none"], strict=True)]
        extra = statistics.median(seconds[how]) - statistics.median(seconds["none"])
        found[how] = {"seconds": seconds[how], "ratio": statistics.median(ratio), "extra": extra}
        rows.append(
            (
                how,
                f"{1e3 * min(seconds[how]):.1f}",
                f"{1e3 * statistics.median(seconds[how]):.1f}",
                f"{statistics.median(ratio):.3f}",
                f"{1e3 * extra:.1f}",
            )
        )
    table(
        "A step of ResNet-18 with L2-SP",
        ("penalty", "min ms", "median ms", "ratio of medians", "extra ms"),
        rows,
    )
    cheaper = found["autograd"]["extra"] / max(found["ours"]["extra"], 1e-9)
    print(f"The penalty itself is {cheaper:.1f} times cheaper than in autograd (medians).")
    write("penalty", {**found, "largest difference of weights": apart, "times cheaper": cheaper})


if __name__ == "__main__":
    main()
