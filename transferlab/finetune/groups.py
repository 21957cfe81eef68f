"""Parameter groups: learning rates that fall from the head down to the first layer."""

from typing import Any

from torch import nn

from transferlab.errors import InputError


def blocks(model: nn.Module) -> dict[str, list[nn.Parameter]]:
    """Return all parameters of a model in blocks, from the input to the head, each exactly once.

    A block is what a network has in a row: `layer1` … `layer4` of a ResNet, `features.0`,
    `features.1`, … of VGG and MobileNet, `block1` … `block5` of our small CNN. Such things are
    numbered, so a parameter belongs to the outermost part of its name that has a number in it, and
    where there is none, to its own layer. A normalisation that stands by itself belongs to the
    layer before it. The names serve as `until` of `freeze`.
    """
    found: dict[str, list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():  # in the order of definition, each once
        found.setdefault(_block(name), []).append(parameter)
    joined: dict[str, list[nn.Parameter]] = {}
    for name, parameters in found.items():
        only_vectors = all(parameter.ndim < 2 for parameter in parameters)
        if only_vectors and joined:
            joined[next(reversed(joined))] += parameters
        else:
            joined[name] = parameters
    return joined


def _block(name: str) -> str:
    """features.layer1.0.conv1.weight → features.layer1, head.weight → head"""
    layer = name.partition(".parametrizations.")[0]  # where LoRA's matrices are kept
    if layer == name:
        layer = name.rpartition(".")[0]
    parts = layer.split(".")
    for end, part in enumerate(parts, start=1):
        if any(character.isdigit() for character in part):
            return ".".join(parts[:end])
    return layer


def layer_decay(model: nn.Module, lr: float, decay: float = 0.9) -> list[dict[str, Any]]:
    """Return parameter groups with discriminative learning rates: lr · decay^depth.

    >>> fit(model, train, epochs=10, lr=layer_decay(model, 1e-3, decay=0.8))

    The head learns with `lr` (depth 0), the block below it with lr · decay (depth 1), and so on:
    what the first layers know serves every task, and needs to change least.

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
