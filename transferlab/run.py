"""One run of `fit`: what happened so far, its checkpoint, and the way back after NaN."""

import contextlib
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import Dataset
from tqdm.auto import tqdm

from transferlab.checkpoint import (
    Settings,
    capture,
    check_processes_agree,
    check_same_run,
    describe_model,
    describe_optimizer,
    load_checkpoint,
    restore,
    save_checkpoint,
)
from transferlab.checks import check_pixels_seen, explained
from transferlab.data.dataset import names_of
from transferlab.errors import InputError
from transferlab.files import check_writable, locked, real_path
from transferlab.fingerprints import describe, describe_data
from transferlab.history import History
from transferlab.metrics import (
    LossFunction,
    cross_entropy,
    evaluate,
    mean_loss,
)
from transferlab.scale import ScaledStep, explain_lost_process, process_count, process_rank

QUIET_SECONDS = 2  # a shorter run shows no progress bar


class Penalty(Protocol):
    """The methods of a penalty, such as `transferlab.finetune.L2SP`."""

    def prepare(self, model: nn.Module, optimizer: Optimizer) -> None: ...
    def add_to_gradients(self) -> None: ...
    def value(self) -> float: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class TrainingRun:
    """The state of one run: what happened so far, and everything that a checkpoint keeps.

    Attributes:
        history: what happened in each epoch.
        steps_taken, steps_left: gradient steps until now, and those still to be taken.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer,
        scheduler: LRScheduler | None,
        penalty: Penalty | None,
        step: Callable,
        order: torch.Generator,
        total_steps: int,
        steps_per_epoch: int,
    ) -> None:
        self.model, self.optimizer, self.penalty, self.order = model, optimizer, penalty, order
        self.total_steps, self.steps_per_epoch = total_steps, steps_per_epoch
        self.device = next(model.parameters()).device
        self.history, self.path, self.settings = History(), None, {}
        self.last_good: list[Tensor] = []  # the weights and buffers after the last sound epoch
        parts = {
            "model": model,
            "optimizer": optimizer,
            "scheduler": scheduler,
            "penalty": penalty,
            "scaler": step.scaler if isinstance(step, ScaledStep) else None,
        }
        self.parts = {name: part for name, part in parts.items() if part is not None}

    @property
    def steps_taken(self) -> int:
        return self.history.steps[-1] if self.history.steps else 0

    @property
    def steps_left(self) -> int:
        return self.total_steps - self.steps_taken

    @contextlib.contextmanager
    def opened(
        self, path: str | Path | None, settings: Settings, train: Dataset, val: Dataset | None
    ) -> Iterator[None]:
        """Resume from the checkpoint if there is one, and lock the file meanwhile."""
        if path is not None:
            self.path = real_path(path)
            check_writable(self.path)  # now, and not after the first epoch
        if path is not None or process_count() > 1:
            self.settings = self._describe(settings, train, val)
            check_processes_agree(self.settings)
        is_writer = path is not None and process_rank() == 0
        again = "run the same command again" + (f", it resumes from {path}" if path else "")
        with (
            locked(self.path) if is_writer else contextlib.nullcontext(),
            explain_lost_process(again),
        ):
            self._begin()
            take_names(self.model, train)
            self.check_epoch(loss=0.0)  # keeps the weights of the start
            with explained():
                yield
            self.model.eval()  # what follows is predictions

    def _describe(self, settings: Settings, train: Dataset, val: Dataset | None) -> Settings:
        """Return everything that identifies this run, as numbers and texts."""
        described = {
            name: value if isinstance(value, int | str) else describe(value, name)
            for name, value in settings.items()
        }
        validation = {} if val is None else describe_data(val)
        return {
            **described,
            **describe_model(self.model),
            **describe_optimizer(self.optimizer, self.model),
            **describe_data(train),
            "validation": "none" if val is None else "there is one",
            **{f"{name} of the validation data": value for name, value in validation.items()},
        }

    def _begin(self) -> None:
        """Bind the penalty to the model, and resume from the checkpoint if there is one."""
        saved = None
        if self.path is not None and self.path.exists():
            saved = load_checkpoint(self.path)
            check_same_run(
                saved,
                self.settings,
                self.model,
                self.penalty,
                self.total_steps,
                self.steps_per_epoch,
                self.path,
            )
        if self.penalty is not None:
            self.penalty.prepare(self.model, self.optimizer)
        if saved is not None:
            self.settings = saved["settings"]  # a resumed model has other starting weights
            restore(saved, self.parts, self.order, self.history, self.device)
            if self.steps_left == 0 and process_rank() == 0:
                print(f"{self.path.name} is finished ({self.history.epochs} epochs)")

    def epochs_left(self) -> Iterator[int]:
        """Yield the numbers of the epochs that are still to be trained, and show a bar."""
        total = math.ceil(self.total_steps / self.steps_per_epoch)
        epochs = range(self.history.epochs, total)
        hidden = {"disable": True} if process_rank() > 0 else {}  # else TQDM_DISABLE decides
        bar = tqdm(epochs, "training", unit="epoch", leave=False, delay=QUIET_SECONDS, **hidden)
        for epoch in bar:
            yield epoch
            bar.set_postfix_str(f"loss {self.history.loss[-1]:.3f}", refresh=False)

    @torch.no_grad()
    def check_epoch(self, loss: float) -> None:
        """Refuse NaN and infinite numbers, and bring the weights of the epoch before back."""
        check_pixels_seen(self.model)
        tensors = [*self.model.parameters(), *self.model.buffers()]
        is_sound = torch.stack([tensor.isfinite().all() for tensor in tensors]).all()
        if math.isfinite(loss) and is_sound:
            self.last_good = [tensor.detach().clone() for tensor in tensors]
            return
        if not self.last_good:
            raise InputError("the model holds NaN or infinite weights; expected finite numbers.")
        for tensor, good in zip(tensors, self.last_good, strict=True):
            tensor.copy_(good)
        lr = max(group.get("initial_lr", group["lr"]) for group in self.optimizer.param_groups)
        what = (
            "the weights became NaN or infinite"
            if math.isfinite(loss)
            else f"the loss became {loss}"
        )
        raise InputError(
            f"{what} in epoch {self.history.epochs + 1}; expected a finite number. The model "
            f"has its weights from before that epoch again. Try a learning rate below {lr:g}."
        )

    def record(self, loss: float, validation: tuple[float, ...], seconds: float) -> None:
        """Add an epoch to the history."""
        self.history.steps.append(min(self.steps_taken + self.steps_per_epoch, self.total_steps))
        self.history.loss.append(loss)
        if self.penalty is not None:
            self.history.penalty.append(self.penalty.value())
        lists = (self.history.val_loss, self.history.val_accuracy)
        for values, value in zip(lists, validation, strict=False):
            values.append(value)
        self.history.seconds.append(seconds)

    def save(self) -> None:
        """Write the checkpoint, if one was asked for."""
        if self.path is None:
            return
        content = capture(self.parts, self.order, self.history, self.device)  # in all processes
        if process_rank() == 0:
            save_checkpoint(self.path, {"settings": self.settings, **content})


def validate(
    model: nn.Module, val: Dataset | None, loss_fn: LossFunction, device: str
) -> tuple[float, ...]:
    """Return loss and accuracy of a classifier, only the loss of other models; () without data."""
    if val is None:
        return ()
    if loss_fn is cross_entropy or hasattr(model, "num_classes"):
        evaluation = evaluate(model, val, device=device)
        return evaluation.loss, evaluation.accuracy
    return (mean_loss(model, val, loss_fn, device=device),)


def take_names(model: nn.Module, train: Dataset) -> None:
    """Let the model know what its outputs and its inputs are called; they are compared later."""
    classes, columns = names_of(train, "classes"), names_of(train, "columns")
    outputs = getattr(model, "num_classes", getattr(model, "out_features", len(classes)))
    if len(classes) == outputs:
        model.classes, model.trained_on = classes, getattr(train, "name", "data")
    if columns:
        model.columns = columns
