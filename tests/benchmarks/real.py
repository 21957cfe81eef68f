"""Real weights: photos and sentences per second.

    python tests/benchmarks/real.py               # about 10 minutes
    python tests/benchmarks/real.py --rounds 1 --tasks photos

`photos`: the features of 32 photos of 224 pixels, EfficientNet-Lite0, on one thread and on all.
timm's network is used as its pages show it; so is its memory order. `sentences`: the vectors of 256
passages, MiniLM. `start`: from a new process to the first vector. (A new head on photos of solar
cells: `frozen.py --images solar_cells`.)

Each row has a process of its own; one round asks each row once, so that what slows a round slows
all of them. Results are checked: the same vectors.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch
from report import Runs, busy, ratio_figure, ratios, timing_table, write
from torch import Tensor
from workers import RowError, Worker, serve

from transferlab import data, freeze, load_backbone
from transferlab.device import cpu_quota
from transferlab.features import extract_features
from transferlab.kit.kernel import ENVIRONMENT as KERNEL
from transferlab.models.packaged import packaged_file

SCRIPT = Path(__file__)
PHOTOS, SENTENCES = 32, 256
Task = Callable[[], Tensor]  # what is timed; its result is compared


def photo_task(row: str) -> Task:
    """Return what computes the features of photos, (32, 1280)."""
    x = (torch.rand(PHOTOS, 3, 224, 224, generator=torch.Generator().manual_seed(0)) * 255).byte()
    model = load_backbone("efficientnet_lite0", weights="packaged")
    freeze(model)
    if row == "TransferLab":
        photos = data.unlabelled(x)
        return lambda: extract_features(model, photos, device="cpu").x
    order = torch.contiguous_format if row == "timm" else torch.channels_last
    network = model.features.eval().to(memory_format=order)
    x = model.normalize(x.float() / 255).contiguous(memory_format=order)
    precision = torch.autocast("cpu", torch.bfloat16, enabled="bfloat16" in row)

    def features() -> Tensor:
        with torch.inference_mode(), precision:
            return network(x).float()

    return features


def sentence_task(row: str) -> Task:
    """Return what computes the vectors of passages, (256, 384)."""
    from transferlab.applications.text import docstrings

    texts = docstrings("test", per_class=40).texts[:SENTENCES]
    if row == "TransferLab":
        from transferlab.applications.sentences import load_encoder

        encoder = load_encoder()
        return lambda: encoder.encode(texts)
    from sentence_transformers import SentenceTransformer

    encoder = SentenceTransformer(str(packaged_file("minilm").parent), device="cpu")
    return lambda: torch.from_numpy(encoder.encode(texts, show_progress_bar=False))


def start_task(row: str) -> Task:
    """Return what loads the encoder and computes one vector, (1, 384), in a new process."""

    def first() -> Tensor:
        if row == "TransferLab":
            from transferlab.applications.sentences import load_encoder

            return load_encoder().encode(["A sentence."])
        from sentence_transformers import SentenceTransformer

        encoder = SentenceTransformer(str(packaged_file("minilm").parent), device="cpu")
        return torch.from_numpy(encoder.encode(["A sentence."], show_progress_bar=False))

    return first


TASKS = {  # task → its function, its rows (the first is the reference), how far results may differ
    "photos": (photo_task, ("timm", "timm, channels_last", "timm, bfloat16", "TransferLab"), 0.05),
    "sentences": (sentence_task, ("sentence-transformers", "TransferLab"), 1e-4),
    "start": (start_task, ("sentence-transformers", "TransferLab"), 1e-4),
}
ready: dict[tuple[str, str], Task] = {}


def answer(row: str, task: str) -> dict[str, object]:
    """Run one task once; return its seconds and its result. Building it is not timed."""
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    if (row, task) not in ready:
        ready[row, task] = TASKS[task][0](row)
        if task in ("photos", "sentences"):
            ready[row, task]()  # to warm up
    started = time.perf_counter()
    result = ready[row, task]()
    return {"seconds": time.perf_counter() - started, "result": result[:8].tolist()}


def agreement(found: list[list[float]], expected: list[list[float]]) -> float:
    """Return the largest relative difference of two results."""
    one, two = torch.tensor(found), torch.tensor(expected)
    return float((one - two).norm() / two.norm())


def compare(task: str, threads: int, rounds: int) -> tuple[dict[str, Runs], list[str]]:
    """Return the runs of every row, and what is wrong with them."""
    _, names, tolerance = TASKS[task]
    rows, faults, expected = {name: Runs() for name in names}, [], None
    for _ in range(rounds):
        for name in names:
            worker = Worker(SCRIPT, name, threads, KERNEL if "TransferLab" in name else {})
            try:
                found = worker.ask(task=task)
            except RowError as error:
                faults.append(str(error))
                continue
            finally:
                worker.close()
            expected = expected or found["result"]
            apart = agreement(found["result"], expected)
            rows[name].seconds.append(found["seconds"])
            rows[name].accuracy.append(1 - apart)
            if apart > tolerance:
                rows[name].notes.append("another result")
    faults += [f"{name}: {note}" for name, runs in rows.items() for note in runs.notes]
    return {n: runs for n, runs in rows.items() if len(runs.seconds) == rounds}, faults


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    print(busy())
    print('"accuracy" is the agreement with the first row.')
    cores, found, panels, faults = max(1, int(cpu_quota())), {}, {}, []
    for task in asked.tasks:
        for threads in sorted({1, cores}) if task == "photos" else (cores,):
            rows, wrong = compare(task, threads, asked.rounds)
            faults += wrong
            title, reference = f"{task}, {threads} threads", TASKS[task][1][0]
            if reference not in rows:
                continue
            timing_table(title, rows, reference)
            panels[title] = ratios(rows, reference)
            found[title] = {name: asdict(runs) for name, runs in rows.items()}
            if task == "photos":
                for name, runs in rows.items():
                    speed = PHOTOS / statistics.median(runs.seconds)
                    print(f"{name:22} {speed:6.0f} photos a second")
    write("real", found, ratio_figure(panels, "the first row's") if panels else None)
    if faults:
        sys.exit("Not comparable:\n" + "\n".join(faults))


if __name__ == "__main__":
    serve(answer) if "--worker" in sys.argv else main()
