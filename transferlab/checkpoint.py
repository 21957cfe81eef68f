"""Checkpoints: written whole or not at all, read without running code, refused when damaged."""

import os
import pickle
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.amp import GradScaler
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from transferlab.device import rng_state, set_rng_state
from transferlab.errors import InputError
from transferlab.history import History
from transferlab.scale import gather_from_processes, process_rank

FORMAT = "transferlab checkpoint 2"


def save_checkpoint(path: str | Path, content: dict[str, Any]) -> None:
    """Write a checkpoint of tensors, numbers, strings, lists and dicts.

    It is written to a second file, forced to the disk, and renamed. Renaming is one step for the
    file system: whoever is killed at any moment leaves the old checkpoint or the new one, whole.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".part")  # always the same name: no litter after crashes
    try:
        with partial.open("wb") as file:
            torch.save({"format": FORMAT, **content}, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def load_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read what `save_checkpoint` wrote, onto the CPU; refuse a cut, altered or foreign file."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path} does not exist; expected a checkpoint.")
    try:
        # torch's files are zip archives, with a checksum for every record: compare them all.
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
    except Exception as error:  # zipfile has a dozen kinds of exceptions for altered bytes
        raise InputError(f"{path} is cut short or is not a checkpoint; delete it.") from error
    if broken is not None:
        raise InputError(f"{path} was altered: the checksum of {broken} is wrong; delete it.")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{path} holds more than tensors and was not opened, because it could run code; "
            "expected a checkpoint that fit() wrote."
        ) from error
    except (RuntimeError, ValueError, KeyError) as error:
        raise InputError(f"{path} is damaged; delete it.") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InputError(f"{path} is not a checkpoint that fit() wrote.")
    return content


@dataclass
class RunState:
    """Everything that a run must remember to go on as if it had never stopped."""

    model: nn.Module
    optimizer: Optimizer
    scheduler: LRScheduler | None
    scaler: GradScaler
    penalty: Any  # one of transferlab.finetune, or None
    order: torch.Generator
    history: History
    device: torch.device

    def capture(self) -> dict[str, Any]:
        """Return it as a checkpoint holds it."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict() if self.scheduler else None,
            "scaler": self.scaler.state_dict(),
            "anchor": getattr(self.penalty, "anchor", None),  # where L2SP pulls to
            "rng": gather_from_processes(rng_state(self.device)),
            "order": self.order.get_state(),  # the sampler's position
            "history": asdict(self.history),
        }

    def restore(self, saved: dict[str, Any]) -> None:
        """Set everything to where a checkpoint stopped."""
        self.model.load_state_dict(saved["model"])
        self.optimizer.load_state_dict(saved["optimizer"])
        if self.scheduler is not None:
            self.scheduler.load_state_dict(saved["scheduler"])
        if saved["anchor"] is not None:
            self.penalty.anchor = saved["anchor"]
            self.penalty.prepare(self.model, self.optimizer)
        self.scaler.load_state_dict(saved["scaler"])
        if process_rank() < len(saved["rng"]):  # a process more than before starts from its seed
            set_rng_state(saved["rng"][process_rank()], self.device)
        self.order.set_state(saved["order"])
        for name, values in saved["history"].items():
            setattr(self.history, name, values)


def check_same_run(
    saved: dict[str, Any],
    settings: dict[str, Any],
    model: nn.Module,
    total_steps: int,
    steps_per_epoch: int,
    path: str | Path,
) -> None:
    """Refuse the checkpoint of another run, before anything is changed."""
    shapes = {name: tuple(tensor.shape) for name, tensor in saved["model"].items()}
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    if shapes != expected:
        odd = sorted(shapes.items() ^ expected.items())[0][0]
        raise InputError(
            f"{path} belongs to another architecture: {odd} has shape {shapes.get(odd)}; "
            f"expected {expected.get(odd)}."
        )
    for name, value in settings.items():
        if (before := saved["settings"].get(name)) != value:
            raise InputError(
                f"{path} belongs to another run: it has {name}={before}, this run {name}={value}; "
                "use the same settings or another file."
            )
    steps = saved["history"]["steps"]
    if steps and steps[-1] > total_steps:
        raise InputError(
            f"{path} has taken {steps[-1]} steps already; this run asks for {total_steps}. "
            "Ask for more, or use another file."
        )
    if steps and steps[-1] < total_steps and steps[-1] % steps_per_epoch:
        raise InputError(
            f"{path} ends after {steps[-1]} steps, in the middle of an epoch of {steps_per_epoch}; "
            f"it cannot go on to {total_steps}. Use another file."
        )
