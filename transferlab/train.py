"""The one training loop of the course: `train_one_epoch`, and `fit` around it."""

import itertools
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import Dataset
from tqdm.auto import tqdm

from transferlab import plots
from transferlab.checkpoint import RunState, check_same_run, load_checkpoint, save_checkpoint
from transferlab.data import FreshDataset, batches, labels
from transferlab.device import choose_device, seeded
from transferlab.errors import InputError
from transferlab.evaluate import evaluate

Batch = tuple[Tensor, Tensor]
LossFunction = Callable[[nn.Module, Batch], Tensor]


class Penalty(Protocol):
    """What `fit` asks of a penalty, such as `transferlab.finetune.L2SP`."""

    def prepare(self, model: nn.Module, optimizer: Optimizer) -> None: ...
    def before_step(self) -> None: ...
    def value(self) -> float: ...


def cross_entropy(model: nn.Module, batch: Batch) -> Tensor:
    """Return the mean cross-entropy of a classifier on one batch."""
    x, y = batch
    return F.cross_entropy(model(x), y)


def train_one_epoch(
    model: nn.Module,
    batches: Iterable[Batch],
    loss_fn: LossFunction,
    optimizer: Optimizer,
    *,
    scheduler: LRScheduler | None = None,
    penalty: Penalty | None = None,
    augment: Callable[[Tensor], Tensor] | None = None,
) -> float:
    """Take one optimizer step per batch; return the mean loss per sample, without the penalty.

    Every objective of the course uses this loop. What differs is `loss_fn(model, batch)`, which
    returns the mean loss of the batch.
    """
    model.train()
    total, count = torch.zeros((), device=next(model.parameters()).device), 0
    for x, y in batches:
        batch = (augment(x) if augment else x, y)
        loss = loss_fn(model, batch)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if penalty is not None:
            penalty.before_step()
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
        # The sum stays on the device: asking for its value each step would make the GPU wait.
        # Weighted by samples, because the last batch may be a small one.
        total += loss.detach() * len(y)
        count += len(y)
    return total.item() / count


@dataclass
class History:
    """What happened in each epoch of a run.

    Attributes:
        steps: gradient steps taken at the end of the epoch, counted from the start of the run.
        loss: mean training loss per sample during the epoch, without the penalty.
        penalty: the penalty's value at the end of the epoch (empty without a penalty).
        val_loss: loss on the validation data (empty without validation data).
        val_accuracy: accuracy on the validation data, 0..1.
        seconds: wall time of the epoch.
    """

    steps: list[int] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    penalty: list[float] = field(default_factory=list)
    val_loss: list[float] = field(default_factory=list)
    val_accuracy: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    @property
    def epochs(self) -> int:
        return len(self.loss)

    def plot(self, alt: str = "Training and validation loss for each epoch."):
        """Draw the loss, and the validation accuracy when there is one."""
        return plots.history(self, alt=alt)

    def __repr__(self) -> str:
        if not self.loss:
            return "History: nothing trained yet"
        steps = f"{self.steps[-1]:,} steps in {sum(self.seconds):.1f} s"
        text = (
            f"History: {self.epochs} epochs, {steps}, loss {self.loss[0]:.3f} → {self.loss[-1]:.3f}"
        )
        if self.val_accuracy:
            text += f", validation accuracy {self.val_accuracy[-1]:.1%}"
        return text


OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "rmsprop": torch.optim.RMSprop,
    "sgd": lambda parameters, lr: torch.optim.SGD(parameters, lr, momentum=0.9),
}
SCHEDULES = ("constant", "cosine")


def fit(
    model: nn.Module,
    train: Dataset,
    *,
    val: Dataset | None = None,
    epochs: int | None = None,
    steps: int | None = None,
    batch_size: int = 64,
    lr: float = 1e-3,
    optimizer: str | Callable[[list[dict[str, Any]]], Optimizer] = "adam",
    groups: list[dict[str, Any]] | None = None,
    schedule: str = "constant",
    loss_fn: LossFunction = cross_entropy,
    penalty: Penalty | None = None,
    augment: Callable[[Tensor], Tensor] | None = None,
    unfreeze: Callable[[nn.Module, int], None] | None = None,
    checkpoint: str | Path | None = None,
    seed: int = 0,
    device: str = "auto",
    progress: bool = True,
) -> History:
    """Train a model in place and return what happened.

    >>> history = fit(model, train, val=val, epochs=10)

    Give `epochs` or `steps`. There is no argument for test data: `fit` never sees it.

    Args:
        val: validation data, measured after each epoch.
        epochs: passes over the training data.
        steps: gradient steps instead; passes over the data are made until they are taken.
        lr: learning rate, used when `optimizer` is a name and for groups without their own.
        optimizer: "adam", "adamw", "rmsprop", "sgd" (momentum 0.9), or a function that makes an
            optimizer from parameter groups.
        groups: parameter groups, as in torch.optim; by default one group with every parameter.
            All are in the optimizer from the first step. A frozen parameter has no gradient and
            is left alone, so unfreezing needs no new group.
        schedule: "constant", or "cosine" (down to 0 over the whole run).
        loss_fn: `loss_fn(model, batch)` returns the mean loss of one batch.
        penalty: a penalty of `transferlab.finetune`, such as L2SP.
        augment: changes a batch of inputs before the model sees them.
        unfreeze: called as `unfreeze(model, epoch)` before each epoch (counted from 0), to freeze
            or unfreeze layers. A resumed run calls it for the past epochs again.
        checkpoint: a file that is written after each epoch. When it exists already, the run goes
            on from there and ends with the same weights, bit for bit, as a run never interrupted.
        seed: fixes the order of the data and everything random in the model.
        progress: show a progress bar.
    """
    where = choose_device(device)
    _check_budget(epochs, steps, lr, optimizer, schedule)
    _check_labels(model, train)
    model.to(where)  # before the optimizer is made, which keeps the parameters it is given
    order = torch.Generator().manual_seed(seed)
    loader = batches(train, batch_size, shuffle=True, generator=order, device=where)
    total_steps = steps if steps is not None else epochs * len(loader)
    total_epochs = math.ceil(total_steps / len(loader))
    engine = _optimizer(optimizer, groups or [{"params": list(model.parameters())}], lr, where)
    scheduler = _scheduler(engine, schedule, total_steps)
    settings = {
        "batch_size": batch_size,
        "lr": lr,
        "seed": seed,
        "schedule": schedule,
        "steps": total_steps if schedule != "constant" else "any",  # a schedule plans a whole run
        "samples": len(train),
        "penalty": _describe(penalty),
        "optimizer": type(engine).__name__,
        "parameters in each group": [len(group["params"]) for group in engine.param_groups],
    }
    if penalty is not None:
        penalty.prepare(model, engine)
    history = History()
    state = RunState(model, engine, scheduler, penalty, order, history, where)

    with seeded(seed, where):
        if checkpoint is not None and Path(checkpoint).exists():
            saved = load_checkpoint(checkpoint)
            check_same_run(saved, settings, model, total_steps, len(loader), checkpoint)
            state.restore(saved)
            for epoch in range(history.epochs):
                if unfreeze is not None:
                    unfreeze(model, epoch)
        remaining = range(history.epochs, total_epochs)
        bar = tqdm(remaining, desc="training", unit="epoch", disable=not progress, leave=False)
        for epoch in bar:
            started = time.perf_counter()
            if unfreeze is not None:
                unfreeze(model, epoch)
            if not any(parameter.requires_grad for parameter in model.parameters()):
                raise InputError("the model has no trainable parameter left; unfreeze a layer.")
            taken = history.steps[-1] if history.steps else 0
            loss = train_one_epoch(
                model,
                itertools.islice(loader, total_steps - taken),
                loss_fn,
                engine,
                scheduler=scheduler,
                penalty=penalty,
                augment=augment,
            )
            if not math.isfinite(loss):
                raise InputError(
                    f"the loss became {loss} in epoch {epoch + 1}; "
                    f"expected a finite number. Try a learning rate below {lr:g}."
                )
            history.steps.append(min(taken + len(loader), total_steps))
            history.loss.append(loss)
            if penalty is not None:
                history.penalty.append(penalty.value())
            if val is not None:
                found = evaluate(model, val, device=device)
                history.val_loss.append(found.loss)
                history.val_accuracy.append(found.accuracy)
            history.seconds.append(time.perf_counter() - started)
            bar.set_postfix_str(f"loss {loss:.3f}")
            if checkpoint is not None:
                save_checkpoint(checkpoint, {"settings": settings, **state.capture()})
    return history


def _check_budget(
    epochs: int | None, steps: int | None, lr: float, optimizer: Any, schedule: str
) -> None:
    if (epochs is None) == (steps is None):
        raise InputError(f"give epochs or steps, one of them; found {epochs=} and {steps=}.")
    budget = epochs if steps is None else steps
    if budget < 1:
        raise InputError(f"found {epochs=} and {steps=}; expected at least 1.")
    if not lr > 0:
        raise InputError(f"lr={lr}: expected a positive learning rate.")
    if schedule not in SCHEDULES:
        raise InputError(f"schedule={schedule!r} is unknown; expected {' or '.join(SCHEDULES)}.")
    if isinstance(optimizer, Optimizer):
        raise InputError(
            "optimizer is an object that exists already and may hold other parameters than the "
            "model has on its device; pass a name or a function that makes the optimizer."
        )
    if isinstance(optimizer, str) and optimizer not in OPTIMIZERS:
        raise InputError(
            f"optimizer={optimizer!r} is unknown; expected one of {', '.join(OPTIMIZERS)}."
        )


def _check_labels(model: nn.Module, train: Dataset) -> None:
    """Refuse labels that a classifier of ours has no output for; a GPU would only say "assert"."""
    outputs = getattr(model, "num_classes", None)
    if outputs is None or isinstance(train, FreshDataset):
        return
    try:
        found = int(labels(train).max())
    except InputError:  # the data set does not tell its labels
        return
    if found >= outputs:
        raise InputError(
            f"the data has label {found}, but the model has {outputs} outputs; "
            f"expected labels 0 to {outputs - 1}."
        )


def _describe(penalty: Penalty | None) -> str:
    """Say which penalty it is and how strong, to compare it with a checkpoint's."""
    if penalty is None:
        return "none"
    numbers = {k: v for k, v in vars(penalty).items() if isinstance(v, int | float | str)}
    return f"{type(penalty).__name__}({', '.join(f'{k}={v}' for k, v in numbers.items())})"


def _optimizer(
    optimizer: str | Callable[[list[dict[str, Any]]], Optimizer],
    groups: list[dict[str, Any]],
    lr: float,
    device: torch.device,
) -> Optimizer:
    if not isinstance(optimizer, str):
        return optimizer(groups)
    # One fused kernel instead of many small ones. Fused SGD is left out: it cannot start the
    # momentum of layers that are unfrozen later.
    fused = device.type in ("cpu", "cuda") and optimizer in ("adam", "adamw")
    return OPTIMIZERS[optimizer](groups, lr=lr, **({"fused": True} if fused else {}))


def _scheduler(optimizer: Optimizer, schedule: str, total_steps: int) -> LRScheduler | None:
    if schedule == "constant":
        return None
    return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=total_steps)
