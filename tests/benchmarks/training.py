"""Training from scratch: the same network, data, optimizer and steps in every row.

    python tests/benchmarks/training.py                        # about 15 minutes on two cores
    python tests/benchmarks/training.py --networks mlp --rounds 1
    python tests/benchmarks/training.py --rows TransferLab Lightning --threads 1

20,000 images of MNIST (digits, enlarged and repeated, when MNIST is absent), batches of 64, Adam,
3 epochs, float32, on the CPU. What every row shares: the initial weights, which are new in each
round; the images, float32 in 0..1, ready in memory (only the tutorial's are pictures); fused Adam,
except in Keras, which brings its own; no worker processes. No row validates, logs, prints or saves.
How each row does it stands in training_rows.py, one short function for each.

Timed is one call of a row's `train()`. Not timed: imports, reading the data, building the
network, and a first run of three steps. That first run is also the check that all rows do the same
thing: on one batch of 64 images there is only one possible order, so after three steps every row
must have the same network. After the timed run the number of steps and the accuracy are compared.

In each round the rows run in a new random order. A ratio compares two rows of the same round.

Each row has a process of its own, in the state that its user would have (see workers.py). The
number of threads is the same for all: with one, the rows differ by what Python does; with all
cores, by how well the cores are kept busy as well.

Frameworks that take a DataLoader have two rows: with the loader that everybody writes, and with one
that fetches a whole batch by index, which their documentation allows and few people know.

The second table is what each does when nothing is switched off: validation after each epoch, the
history, the progress bar, the log, the checkpoints, and the Adam that one gets without asking.
"""

import argparse
import random
import statistics
import sys
from dataclasses import asdict
from pathlib import Path

import torch
from report import Runs, busy, ratio_figure, ratios, timing_table, write
from torch import Tensor
from training_rows import BATCH, DATA, DEFAULT, EPOCHS, NETWORKS, PLAIN
from workers import RowError, Worker

from transferlab import InputError
from transferlab.data import digits, load, resize
from transferlab.device import cpu_quota
from transferlab.kit.kernel import ENVIRONMENT as KERNEL  # what a lesson's process has

SAMPLES = {"train": 20_000, "val": 4_000, "test": 5_000}
STEPS = EPOCHS * -(-SAMPLES["train"] // BATCH)
ROUNDS = {"mlp": 5, "cnn": 3}
# The MLP has no layout of images to choose; beside the CNN's convolutions loaders cost little.
POINTLESS = {"mlp": "channels_last", "cnn": "by batch"}
ROWS = Path(__file__).with_name("training_rows.py")
MARGIN = 0.015  # of accuracy; shuffles alone make about ±0.004
SAME = 1e-3  # of a score, after three steps; Keras adds its epsilon at another place
FAULTS: list[str] = []  # what makes a row incomparable; the run ends with it


def prepare_data() -> str:
    """Write the images that all rows read; return where they come from."""
    try:
        train, test = load("mnist"), load("mnist", "test")
        source = "MNIST"
    except InputError as error:
        print(error)
        small = digits()
        large = resize(small, 28)
        cut = torch.randperm(len(large), generator=torch.Generator().manual_seed(0)).split(1400)
        train, test = large.subset(cut[0]), large.subset(torch.cat(cut[1:]))
        source = "digits, enlarged to 28×28 and repeated"
    found = {}
    for part, dataset, first in (("train", train, 0), ("val", train, 20_000), ("test", test, 0)):
        rows = torch.arange(first, first + SAMPLES[part]) % len(dataset)
        x = dataset.x[rows]
        x = x if x.dtype == torch.uint8 else (x * 255).round().byte()
        found[part] = (x, dataset.y[rows])
    DATA.parent.mkdir(parents=True, exist_ok=True)
    torch.save(found, DATA)
    return source


def first_run(worker: Worker, how: dict, reference: Tensor | None) -> tuple[Tensor, str]:
    """Ask for three steps; return the scores afterwards, and what is wrong with them."""
    found = worker.ask(seed=0, first=True, **how)
    scores = torch.tensor(found["scores"])
    apart = 0.0 if reference is None else float((scores - reference).abs().max())
    if found["steps"] != EPOCHS:
        return scores, f"{found['steps']} steps instead of {EPOCHS}"
    if apart > SAME and not how["default"]:  # by default, each has an optimizer of its own
        return scores, f"another network after {EPOCHS} steps: scores differ by {apart:.1g}"
    return scores, ""


def compare(
    network: str, threads: int, names: list[str], rounds: int, default: bool = False
) -> dict[str, Runs]:
    """Run all rows, round by round; return what each took and what its checks found."""
    how = {"network": network, "default": default}
    workers: dict[str, Worker] = {}
    rows: dict[str, Runs] = {}
    reference = None
    try:
        for name in names:  # the bare loop is the first
            environment = KERNEL if name.startswith("TransferLab") else {}
            workers[name] = Worker(ROWS, name, threads, environment)
            try:
                scores, wrong = first_run(workers[name], how, reference)
            except RowError as error:
                FAULTS.append(str(error))
                print(f"  {error}", flush=True)
                continue
            reference = scores if reference is None else reference
            rows[name] = Runs(notes=[wrong] if wrong else [])
        for number in range(1, rounds + 1):
            order = list(rows)
            random.Random(number).shuffle(order)
            for name in order:
                found = workers[name].ask(seed=number, first=False, **how)
                rows[name].seconds.append(found["seconds"])
                rows[name].accuracy.append(found["accuracy"])
                if found["steps"] != STEPS:
                    rows[name].notes.append(f"{found['steps']} steps instead of {STEPS}")
            took = ", ".join(f"{name} {runs.seconds[-1]:.2f}" for name, runs in rows.items())
            print(f"  round {number} of {rounds}, seconds: {took}", flush=True)
    finally:
        for worker in workers.values():
            worker.close()
    usual = statistics.median(statistics.mean(runs.accuracy) for runs in rows.values())
    for name, runs in rows.items():
        if abs(statistics.mean(runs.accuracy) - usual) > MARGIN:
            runs.notes.append("another accuracy")
        FAULTS.extend(f"{name}: {note}" for note in runs.notes)
    return rows


def plan(networks: list[str], threads: list[int] | None) -> list[tuple[str, int, bool]]:
    """Return the tables to make: network, threads, and whether nothing is switched off."""
    cores = max(1, int(cpu_quota()))
    tables = []
    for network in networks:
        counts = threads or (sorted({1, cores}) if network == "mlp" else [cores])
        tables += [(network, count, False) for count in counts]
        if network == "mlp":
            tables.append((network, counts[-1], True))
    return tables


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--rows", nargs="+", choices=PLAIN, default=list(PLAIN))
    parser.add_argument("--threads", nargs="+", type=int, help="default: 1 and all, the CNN all")
    parser.add_argument("--rounds", type=int, help="default: 5, the CNN 3")
    asked = parser.parse_args()
    source = prepare_data()
    print(f"{SAMPLES['train']:,} images of {source}, batches of {BATCH}, {EPOCHS} epochs, CPU.")
    print(busy())
    tables: dict[str, dict[str, Runs]] = {}
    for network, threads, default in plan(asked.networks, asked.threads):
        title = f"{network.upper()}, threads: {threads}"
        title += ", nothing switched off" if default else ""
        names = [name for name in (DEFAULT if default else PLAIN) if name in asked.rows]
        names = ["bare loop", *(name for name in names if name != "bare loop")]
        names = [name for name in names if POINTLESS[network] not in name]
        print(f"{title}: {', '.join(names)}", flush=True)
        rounds = asked.rounds or ROUNDS[network]
        tables[title] = compare(network, threads, names, rounds, default)
        timing_table(title, tables[title], "bare loop")
    panels = {title: ratios(rows, "bare loop") for title, rows in tables.items()}
    content = {t: {n: asdict(runs) for n, runs in rows.items()} for t, rows in tables.items()}
    write("training", content, ratio_figure(panels, "the bare loop"))
    if FAULTS:
        sys.exit("Not comparable:\n" + "\n".join(FAULTS))


if __name__ == "__main__":
    main()
