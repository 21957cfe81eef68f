"""What test_distributed.py runs in one process and, started by torchrun, in two.

torchrun --standalone --nproc-per-node 2 two_processes.py FOLDER SCENARIO…
"""

import json
import os
import signal
import sys
from pathlib import Path

import torch
from torch import nn

import transferlab.run
from transferlab import data, fit, models
from transferlab.device import seeded
from transferlab.finetune import L2SP, freeze, unfreeze
from transferlab.history import History
from transferlab.scale import Scale, join_processes, process_count, process_rank


def points(n: int) -> data.MemoryDataset:
    x = torch.randn(n, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    return data.MemoryDataset(x, (x.sum((1, 2, 3)) > 0).long(), ["below", "above"], "points")


def network(dropout: float = 0.0) -> nn.Module:
    with seeded(process_rank()):  # the processes must not start from weights of their own
        model = models.mlp(2, (1, 4, 4), widths=(8, 8))
        if dropout:
            model.features.append(nn.Dropout(dropout))
        return model


def uneven(folder: Path) -> dict:
    """97 samples in batches of 32: the last batch has one sample, and nothing for process 1."""
    model, data = network(), points(97)
    history = fit(model, data, val=data, epochs=3, batch_size=32, lr=0.01)
    return result(model, history)


def everything(folder: Path) -> dict:
    """Unfreezing, a penalty, a layer that the loss does not use, batches in three parts."""
    model = network()
    model.unused = nn.Linear(3, 3)

    def thaw(model: nn.Module, epoch: int) -> None:
        unfreeze(model)
        if epoch < 2:
            freeze(model)

    history = fit(
        model,
        points(97),
        epochs=4,
        batch_size=32,
        lr=0.01,
        optimizer="sgd",
        schedule="cosine",
        penalty=L2SP(0.1),
        unfreeze=thaw,
        scale=Scale(parts=3),
    )
    del model.unused
    return result(model, history)


def files(folder: Path) -> dict:
    """Images from files, read by the processes that need them."""
    model = models.mlp(2, (3, 4, 4), widths=(8,))
    with seeded(1):
        model = models.mlp(2, (3, 4, 4), widths=(8,))
    images = data.image_folder(folder / "images")
    history = fit(model, images, epochs=2, batch_size=4, lr=0.01)
    return result(model, history)


def fresh(folder: Path) -> dict:
    """Generated data, drawn alike in all processes."""
    with seeded(1):
        model = models.mlp(37, (1, 8, 8), widths=(8,))
    history = fit(model, data.fresh_letters(64), epochs=2, batch_size=32)
    return result(model, history)


def resumed(folder: Path) -> dict:
    """2 + 2 epochs and 4 epochs, with dropout; who wrote the checkpoint?"""
    writers = []
    save = transferlab.run.save_checkpoint

    def noted(path: Path, content: dict) -> None:
        writers.append(process_rank())
        save(path, content)

    transferlab.run.save_checkpoint = noted
    kept, options = network(0.5), {"batch_size": 32, "lr": 0.01}
    fit(kept, points(97), epochs=2, checkpoint=folder / "run.pt", **options)
    again, whole = network(0.5), network(0.5)
    fit(again, points(97), epochs=4, checkpoint=folder / "run.pt", **options)
    history = fit(whole, points(97), epochs=4, **options)
    transferlab.run.save_checkpoint = save
    same = all(
        torch.equal(a, b) for a, b in zip(again.parameters(), whole.parameters(), strict=True)
    )
    return {**result(whole, history), "same": same, "saves": len(writers)}


def other_data(folder: Path) -> dict:
    """Process 1 has fewer samples, and would wait for the others after its last batch."""
    join_processes(torch.device("cpu"))  # who is who is not known before
    model, data = network(), points(100 if process_rank() == 0 else 20)
    return result(model, fit(model, data, steps=4))


def other_rate(folder: Path) -> dict:
    """Process 1 has another learning rate."""
    join_processes(torch.device("cpu"))
    model, lr = network(), 0.01 * (1 + process_rank())
    return result(model, fit(model, points(97), epochs=1, lr=lr))


def other_network(folder: Path) -> dict:
    """Process 1 has a wider network."""
    join_processes(torch.device("cpu"))
    model = models.mlp(2, (1, 4, 4), widths=(8 + process_rank(),))
    return result(model, fit(model, points(97), epochs=1))


def killed(folder: Path) -> dict:
    """The last process dies in epoch 3, the first time."""

    def die(model: nn.Module, epoch: int) -> None:
        first_time = not (folder / "died").exists()
        if first_time and epoch == 2 and process_rank() == 1:
            (folder / "died").touch()
            os.kill(os.getpid(), signal.SIGKILL)

    model = network(0.5)
    options = {"batch_size": 32, "lr": 0.01, "unfreeze": die}
    history = fit(model, points(97), epochs=4, checkpoint=folder / "killed.pt", **options)
    return result(model, history)


def result(model: nn.Module, history: History) -> dict:
    weights = torch.cat([p.detach().flatten() for p in model.parameters()]).tolist()
    return {"loss": history.loss, "val_loss": history.val_loss, "weights": weights}


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    for name in sys.argv[2:]:
        found = globals()[name](folder)
        file = folder / f"{name}_{process_rank()}_of_{process_count()}.json"
        file.write_text(json.dumps(found), encoding="utf-8")
