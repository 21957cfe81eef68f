"""Training: `take_step`, `train_one_epoch`, and `fit` around them."""

import itertools
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import Dataset

from transferlab.checks import check_arguments, check_data, check_trainable
from transferlab.data import Batch, batches
from transferlab.device import choose_device, seeded
from transferlab.history import History
from transferlab.metrics import LossFunction, cross_entropy
from transferlab.optimizers import ParameterGroups, make_optimizer, make_scheduler
from transferlab.run import Penalty, TrainingRun, validate
from transferlab.scale import (
    Scale,
    ScaledStep,
    broadcast_model,
    check_same_network,
    join_processes,
    process_count,
    process_rank,
    sum_over_processes,
)


def take_step(
    model: nn.Module,
    batch: Batch,
    loss_fn: LossFunction,
    optimizer: Optimizer,
    penalty: Penalty | None = None,
) -> Tensor:
    """Take one optimizer step on one batch; return the loss, without the penalty."""
    optimizer.zero_grad()
    loss = loss_fn(model, batch)
    loss.backward()
    if penalty is not None:
        penalty.add_to_gradients()
    optimizer.step()
    return loss.detach()


def train_one_epoch(
    model: nn.Module,
    batches: Iterable[Batch],
    loss_fn: LossFunction,
    optimizer: Optimizer,
    *,
    scheduler: LRScheduler | None = None,
    penalty: Penalty | None = None,
    augment: Callable[[Tensor], Tensor] | None = None,
    step: Callable[..., Tensor] = take_step,
) -> float:
    """Take one step per batch; return the mean loss per sample, without the penalty.

    Every objective of the course uses this loop. What differs is `loss_fn(model, batch)`, which
    returns the mean loss of the batch.
    """
    model.train()
    total, count = torch.zeros((), device=next(model.parameters()).device), 0
    for x, y in batches:
        if augment is not None:
            x = augment(x)
        loss = step(model, (x, y), loss_fn, optimizer, penalty)
        if scheduler is not None:
            scheduler.step()
        # The sum stays on the device: reading its value in each step would make the CPU wait.
        # Weighted by samples, because the last batch may be a small one.
        total += loss * len(y)
        count += len(y)
    total, count = sum_over_processes(torch.stack([total, total.new_tensor(count)])).tolist()
    return total / count


def fit(
    model: nn.Module,
    train: Dataset,
    *,
    val: Dataset | None = None,
    epochs: int | None = None,
    steps: int | None = None,
    batch_size: int = 64,
    lr: float | ParameterGroups = 1e-3,
    optimizer: str | Callable[[ParameterGroups], Optimizer] = "adam",
    schedule: str = "constant",
    loss_fn: LossFunction = cross_entropy,
    penalty: Penalty | None = None,
    augment: Callable[[Tensor], Tensor] | None = None,
    unfreeze: Callable[[nn.Module, int], None] | None = None,
    checkpoint: str | Path | None = None,
    seed: int = 0,
    device: str = "auto",
    scale: Scale | None = None,
) -> History:
    """Train a model in place and return its history.

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
        lr: the learning rate, or parameter groups with one each, as `layer_decay` returns them.
            All parameters are in the optimizer from the first step: a frozen one has no gradient
            and is left alone, so unfreezing needs no new group.
        optimizer: "adam", "adamw", "rmsprop", "sgd" (momentum 0.9), or a function that makes an
            optimizer from parameter groups.
        schedule: "constant", or "cosine" (down to 0 over the whole run).
        loss_fn: `loss_fn(model, batch)` returns the mean loss of one batch.
        penalty: a penalty of `transferlab.finetune`, such as L2SP.
        augment: changes a batch of inputs before the model sees them.
        unfreeze: called as `unfreeze(model, epoch)` before each epoch (counted from 0), to freeze
            or unfreeze layers. A resumed run calls it for the past epochs again.
        checkpoint: a file that is written after each epoch. If it exists already, the run resumes
            from there and ends with the same weights, bit for bit, as a run never interrupted.
            The file of another run is refused.
        seed: fixes the order of the data and everything random in the model.
        device: "auto", "cpu", "cuda" or "mps".
        scale: mixed precision, gradient accumulation, compiling, …; None: none of it.
    """
    where = choose_device(device)
    check_arguments(epochs, steps, lr, optimizer, schedule, loss_fn)
    check_data(model, train, val)
    join_processes(where)
    check_same_network(model)
    model.to(where)  # before the optimizer is made, which holds on to its parameters
    broadcast_model(model)
    is_plain = scale is None and process_count() == 1
    step = take_step if is_plain else ScaledStep(model, scale or Scale(), where)

    order = torch.Generator().manual_seed(seed)
    loader = batches(
        train,
        batch_size,
        shuffle=True,
        generator=order,
        device=where,
        share=(process_rank(), process_count()),
        workers=None if scale is None else scale.workers,
    )
    total_steps = steps if steps is not None else epochs * len(loader)
    engine = make_optimizer(optimizer, lr, model, where)
    scheduler = make_scheduler(schedule, engine, total_steps)
    run = TrainingRun(model, engine, scheduler, penalty, step, order, total_steps, len(loader))
    settings = {
        "batch_size": batch_size,
        "seed": seed,
        "schedule": schedule,
        "steps": "any" if schedule == "constant" else total_steps,  # a schedule plans them all
        "loss_fn": loss_fn,
        "penalty": repr(penalty),
        "augment": augment,
        "unfreeze": unfreeze,
        "scale": replace(scale or Scale(), workers=None),
    }

    with seeded(seed + process_rank(), where), run.opened(checkpoint, settings, train, val):
        for past in range(run.history.epochs if unfreeze is not None else 0):
            unfreeze(model, past)
        for epoch in run.epochs_left():
            started = time.perf_counter()
            if unfreeze is not None:
                unfreeze(model, epoch)
            check_trainable(model)
            loss = train_one_epoch(
                model,
                itertools.islice(loader, run.steps_left),
                loss_fn,
                engine,
                scheduler=scheduler,
                penalty=penalty,
                augment=augment,
                step=step,
            )
            run.check_epoch(loss)
            broadcast_model(model)  # BatchNorm's running statistics: those of process 0
            validation = validate(model, val, loss_fn, device)
            run.record(loss, validation, seconds=time.perf_counter() - started)
            run.save()
    return run.history
