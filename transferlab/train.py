"""The one training loop of the course: `train_one_epoch`, and `fit` around it."""

import itertools
import math
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.amp import GradScaler
from torch.nn import functional as F
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import Dataset
from tqdm.auto import tqdm

from transferlab.checkpoint import RunState, check_same_run, load_checkpoint, save_checkpoint
from transferlab.data import FreshDataset, batches, labels
from transferlab.device import choose_device, seeded
from transferlab.errors import InputError
from transferlab.history import History
from transferlab.metrics import check_labels, evaluate, mean_loss
from transferlab.scale import (
    in_processes,
    join_processes,
    process_count,
    process_rank,
    sentence_when_one_dies,
    start_alike,
    sum_over_processes,
    weigh,
)

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


def _parts(x: Tensor, y: Tensor, n: int) -> list[Batch]:
    """Cut a batch into n parts; all processes must make equally many, and be they empty."""
    if n == 1:
        return [(x, y)]
    parts = zip(x.tensor_split(n), y.tensor_split(n), strict=True)
    return [part for part in parts if len(part[1]) or process_count() > 1]


PRECISIONS = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
NO_SCALER = GradScaler(enabled=False)  # hands everything on as it is


class _Loss(nn.Module):
    """`loss_fn(model, batch)` as a module: torch.compile and DDP wrap modules, not functions."""

    def __init__(
        self, model: nn.Module, loss_fn: LossFunction, precision: str, channels_last: bool
    ) -> None:
        super().__init__()
        self.model, self.loss_fn, self.channels_last = model, loss_fn, channels_last
        self.precision = PRECISIONS[precision]

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        if len(y) == 0:  # the other processes wait for us: take part, with a weight of 0
            x, y = x.new_zeros(1, *x.shape[1:]), y.new_zeros(1)
        if self.channels_last and x.ndim == 4:
            x = x.contiguous(memory_format=torch.channels_last)
        if self.precision == torch.float32:
            return self.loss_fn(self.model, (x, y))
        with torch.autocast(x.device.type, self.precision):
            return self.loss_fn(self.model, (x, y))


def train_one_epoch(
    model: nn.Module,
    batches: Iterable[Batch],
    loss_fn: LossFunction,
    optimizer: Optimizer,
    *,
    scheduler: LRScheduler | None = None,
    penalty: Penalty | None = None,
    augment: Callable[[Tensor], Tensor] | None = None,
    accumulate: int = 1,
    scaler: GradScaler = NO_SCALER,
) -> float:
    """Take one optimizer step per batch; return the mean loss per sample, without the penalty.

    Every objective of the course uses this loop. What differs is `loss_fn(model, batch)`, which
    returns the mean loss of the batch.
    """
    model.train()
    total, count = torch.zeros((), device=next(model.parameters()).device), 0
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for x, y in batches:
        if augment is not None:
            x = augment(x)
        for parameter in parameters:
            parameter.grad = None  # what optimizer.zero_grad() does, without its preparations
        for part in _parts(x, y, accumulate):
            loss = loss_fn(model, part)
            samples = len(part[1])
            scaler.scale(weigh(loss, samples, len(y))).backward()
            # The sum stays on the device: asking for its value each step would make the GPU wait.
            # Weighted by samples, because the last batch may be a small one.
            total += loss.detach() * samples
        if penalty is not None:
            scaler.unscale_(optimizer)
            penalty.before_step()
        scaler.step(optimizer)
        scaler.update()
        if scheduler is not None:
            scheduler.step()
        count += len(y)
    total, count = sum_over_processes(torch.stack([total, total.new_tensor(count)])).tolist()
    return total / count


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
    accumulate: int = 1,
    precision: str = "float32",
    channels_last: bool = False,
    compile: bool = False,
) -> History:
    """Train a model in place and return what happened.

    >>> history = fit(model, train, val=val, epochs=10)

    Give `epochs` or `steps`. There is no argument for test data: `fit` never sees it.

    Started by `torchrun`, the processes share every batch of `batch_size` samples and take the
    same steps as one process would. BatchNorm in training normalises each process's share by
    itself, and dropout and `augment` draw anew in each; everything else gives the same losses.

    Args:
        val: validation data, measured after each epoch: cross-entropy and accuracy of a
            classifier (any model with `num_classes`, and any trained by cross-entropy); for
            another model the mean of `loss_fn`.
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
        accumulate: compute each batch in so many parts, one after the other. The step is the same
            (but for BatchNorm, which sees a part), the memory that of one part.
        precision: "float32"; "bfloat16" or "float16" compute matrix products in 16 bits, which a
            GPU does several times faster (Micikevicius et al., Mixed Precision Training, 2018).
        channels_last: store images as (N, H, W, C), which convolutions on a GPU like better.
        compile: let torch.compile fuse the operations of a step. It pays on a GPU, in long runs.
    """
    where = choose_device(device)
    _check_budget(epochs, steps, lr, optimizer, schedule)
    _check_scale(accumulate, precision, where)
    _check_labels(model, train)
    join_processes(where)
    model.to(where)  # before the optimizer is made, which keeps the parameters it is given
    if channels_last:
        model.to(memory_format=torch.channels_last)
    start_alike(model)
    order = torch.Generator().manual_seed(seed)
    loader = batches(
        train,
        batch_size,
        shuffle=True,
        generator=order,
        device=where,
        share=(process_rank(), process_count()),
    )
    total_steps = steps if steps is not None else epochs * len(loader)
    total_epochs = math.ceil(total_steps / len(loader))
    engine = _optimizer(optimizer, groups or [{"params": list(model.parameters())}], lr, where)
    scheduler = _scheduler(engine, schedule, total_steps)
    scaler = GradScaler(where.type, enabled=precision == "float16")
    settings = {
        "batch_size": batch_size,
        "lr": lr,
        "seed": seed,
        "schedule": schedule,
        "precision": precision,
        "loss_fn": getattr(loss_fn, "__name__", type(loss_fn).__name__),
        "steps": total_steps if schedule != "constant" else "any",  # a schedule plans a whole run
        "samples": len(train),
        "penalty": _describe(penalty),
        "optimizer": type(engine).__name__,
        "parameters in each group": [len(group["params"]) for group in engine.param_groups],
    }
    if penalty is not None:
        penalty.prepare(model, engine)
    history = History()
    state = RunState(model, engine, scheduler, scaler, penalty, order, history, where)
    objective = _Loss(model, loss_fn, precision, channels_last)
    if compile:
        objective.compile()
    again = "run the same command again" + (f", it goes on from {checkpoint}" if checkpoint else "")

    with seeded(seed + process_rank(), where), sentence_when_one_dies(again):
        if checkpoint is not None and Path(checkpoint).exists():
            saved = load_checkpoint(checkpoint)
            check_same_run(saved, settings, model, total_steps, len(loader), checkpoint)
            state.restore(saved)
            if unfreeze is not None:
                for epoch in range(history.epochs):
                    unfreeze(model, epoch)
        remaining = range(history.epochs, total_epochs)
        shown = progress and process_rank() == 0
        bar = tqdm(remaining, desc="training", unit="epoch", disable=not shown, leave=False)
        for epoch in bar:
            started = time.perf_counter()
            if unfreeze is not None:
                unfreeze(model, epoch)
            if not any(parameter.requires_grad for parameter in model.parameters()):
                raise InputError("the model has no trainable parameter left; unfreeze a layer.")
            if epoch == remaining.start or unfreeze is not None:
                shared = in_processes(objective)
            taken = history.steps[-1] if history.steps else 0
            loss = train_one_epoch(
                model,
                itertools.islice(loader, total_steps - taken),
                lambda _, batch, shared=shared: shared(*batch),
                engine,
                scheduler=scheduler,
                penalty=penalty,
                augment=augment,
                accumulate=accumulate,
                scaler=scaler,
            )
            if not math.isfinite(loss):
                raise InputError(
                    f"the loss became {loss} in epoch {epoch + 1}; "
                    f"expected a finite number. Try a learning rate below {lr:g}."
                )
            start_alike(model)  # BatchNorm's running statistics: those of process 0
            history.steps.append(min(taken + len(loader), total_steps))
            history.loss.append(loss)
            if penalty is not None:
                history.penalty.append(penalty.value())
            if val is not None:
                _validate(model, val, loss_fn, device, history)
            history.seconds.append(time.perf_counter() - started)
            bar.set_postfix_str(f"loss {loss:.3f}")
            if checkpoint is not None:
                content = {"settings": settings, **state.capture()}
                if process_rank() == 0:
                    save_checkpoint(checkpoint, content)
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


def _check_scale(accumulate: int, precision: str, device: torch.device) -> None:
    if accumulate < 1:
        raise InputError(f"accumulate={accumulate}: expected at least 1 part.")
    if precision not in PRECISIONS:
        raise InputError(
            f"precision={precision!r} is unknown; expected one of {', '.join(PRECISIONS)}."
        )
    if precision == "float16" and device.type == "cpu":
        raise InputError(
            "precision='float16' is slower than float32 on a CPU, by far; expected 'float32' or "
            "'bfloat16' there."
        )


def _validate(
    model: nn.Module, val: Dataset, loss_fn: LossFunction, device: str, history: History
) -> None:
    """Add the validation loss, and for a classifier the accuracy, to the history."""
    if loss_fn is cross_entropy or hasattr(model, "num_classes"):
        found = evaluate(model, val, device=device)
        history.val_loss.append(found.loss)
        history.val_accuracy.append(found.accuracy)
    else:
        history.val_loss.append(mean_loss(model, val, loss_fn, device=device))


def _check_labels(model: nn.Module, train: Dataset) -> None:
    """Refuse labels that a classifier of ours has no output for, where the data tell them."""
    outputs = getattr(model, "num_classes", getattr(model, "out_features", None))
    if outputs is None:
        return
    if isinstance(train, FreshDataset):  # its labels are drawn later, but their names are known
        if train.classes:
            check_labels(torch.arange(len(train.classes)), outputs)
        return
    try:
        y = labels(train)
    except InputError:  # the data set does not tell its labels
        return
    check_labels(y, outputs)


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
