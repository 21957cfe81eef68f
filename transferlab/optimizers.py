"""Optimizers and learning rate schedules, by name or made by a function of yours."""

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler

ParameterGroups = list[dict[str, Any]]

OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "rmsprop": torch.optim.RMSprop,
    "sgd": lambda parameters, lr: torch.optim.SGD(parameters, lr, momentum=0.9),
}
SCHEDULES = ("constant", "cosine")


def make_optimizer(
    optimizer: str | Callable[[ParameterGroups], Optimizer],
    lr: float | ParameterGroups,
    model: nn.Module,
    device: torch.device,
) -> Optimizer:
    """Return an optimizer of all parameters of a model; the arguments are those of `fit`."""
    if isinstance(lr, list):
        groups, default = lr, max(group["lr"] for group in lr)
    else:
        groups, default = [{"params": list(model.parameters())}], lr
    if not isinstance(optimizer, str):
        # A class such as torch.optim.SGD has its own default rate, which nobody has asked for.
        is_partial = isinstance(optimizer, functools.partial)
        takes_lr = isinstance(optimizer, type) or (is_partial and "lr" not in optimizer.keywords)
        return optimizer(groups, lr=default) if takes_lr else optimizer(groups)
    # One fused kernel instead of many small ones. Fused SGD is left out: it cannot start the
    # momentum of layers that are unfrozen later.
    fused = device.type in ("cpu", "cuda") and optimizer in ("adam", "adamw")
    return OPTIMIZERS[optimizer](groups, lr=default, **({"fused": True} if fused else {}))


def make_scheduler(schedule: str, optimizer: Optimizer, total_steps: int) -> LRScheduler | None:
    """Return the learning rate scheduler, called after each step; None for a constant rate."""
    if schedule == "constant":
        return None
    return CosineAnnealingLR(optimizer, T_max=total_steps)
