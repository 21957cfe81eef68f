"""Parameter groups: learning rates that decrease from the head to the first layer."""

from typing import Any

from torch import nn

from transferlab.errors import InputError
from transferlab.models.layers import blocks


def layer_decay(model: nn.Module, lr: float, decay: float = 0.9) -> list[dict[str, Any]]:
    """Return parameter groups with discriminative learning rates: lr · decay^depth.

    >>> fit(model, train, epochs=10, lr=layer_decay(model, 1e-3, decay=0.8))

    The head learns with `lr` (depth 0), the block below it with lr · decay (depth 1), and so on:
    what the first layers compute serves every task, and needs to change least.

    Source: Howard and Ruder, Universal Language Model Fine-tuning for Text Classification (2018).

    Args:
        decay: the ratio of the learning rates of neighbouring blocks, above 0 and at most 1.

    Returns:
        One group per block of `blocks`, from the input to the head, each with `params`, `lr` and
        `name`. Frozen parameters are in it as well: they can be unfrozen later.
    """
    if not lr > 0:
        raise InputError(f"lr={lr}: expected a positive learning rate.")
    if not 0 < decay <= 1:
        raise InputError(f"decay={decay}: expected a number above 0 and at most 1.")
    from_the_head = reversed(blocks(model).items())
    groups = [
        {"params": parameters, "lr": lr * decay**depth, "name": name}
        for depth, (name, parameters) in enumerate(from_the_head)
    ]
    return groups[::-1]
