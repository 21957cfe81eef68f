"""Complete freezing: parameters, BatchNorm statistics and dropout."""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from transferlab.errors import InputError
from transferlab.models.layers import find_layer, mode_is_held
from transferlab.models.lora import has_lora, plain_name

BATCH_STATS = ("frozen", "adapt", "batch")


@dataclass
class Frozen:
    """The frozen part of a model: its tensors, and their values when it was frozen."""

    model: nn.Module
    tensors: dict[str, Tensor] = field(repr=False)

    def changed(self) -> list[str]:
        """Return the names of the frozen parameters and buffers that have changed."""
        now = dict(_tensors(self.model))
        return [
            name
            for name, before in self.tensors.items()
            if not torch.equal(now[name].cpu(), before)
        ]

    def assert_unchanged(self) -> None:
        """Raise an AssertionError that names a parameter or buffer that changed."""
        changed = self.changed()
        if changed:
            raise AssertionError(
                f"{len(changed)} of {len(self.tensors)} frozen tensors changed, "
                f"such as {changed[0]}."
            )


def freeze(model: nn.Module, until: str | None = "head", batch_stats: str = "frozen") -> Frozen:
    """Freeze every layer before `until`; the layer itself and all after it stay trainable.

    `requires_grad = False` alone does not freeze a layer: BatchNorm still updates its running mean
    and variance in training mode, dropout still drops. This function takes care of both, and its
    choice survives `model.train()`. It replaces whatever an earlier call froze. LoRA matrices come
    later: freeze first, then `transferlab.models.add_lora`.

    Args:
        until: name of the first trainable layer, such as "head" (only the head learns) or "layer4"
            (searched in the features too). None freezes no parameter, but applies `batch_stats`
            to the whole model.
        batch_stats: what BatchNorm does in the frozen part.
            "frozen": the statistics of pre-training are used, and kept (evaluation mode).
            "adapt": each batch is normalised by itself, the running statistics follow the new
            data. This is what happens when only `requires_grad` is set.
            "batch": each batch is normalised by itself, in training and in evaluation; the running
            statistics are neither used nor updated (Nado et al., Evaluating Prediction-Time Batch
            Normalization for Robustness under Covariate Shift, 2020).
    """
    if batch_stats not in BATCH_STATS:
        raise InputError(
            f"batch_stats={batch_stats!r} is unknown; expected one of {', '.join(BATCH_STATS)}."
        )
    stop = None if until is None else find_layer(model, until)
    unfreeze(model)
    frozen: dict[str, Tensor] = {}
    for name, module in _layers_before(model, stop):
        for parameter_name, parameter in module.named_parameters(name, recurse=False):
            if until is not None:
                parameter.requires_grad = False
                parameter.grad = None  # a stale gradient, or momentum on zeros, would still move it
                frozen[parameter_name] = parameter
        frozen.update(module.named_buffers(name, recurse=False))
        if isinstance(module, _BatchNorm) and batch_stats != "adapt":
            module.track_running_stats = batch_stats == "frozen"
            _hold_mode(module, training=batch_stats == "batch")
        elif until is not None and _drops(module):
            _hold_mode(module, training=False)
    return Frozen(model, {name: tensor.detach().cpu().clone() for name, tensor in frozen.items()})


def unfreeze(model: nn.Module) -> None:
    """Make every parameter trainable; let BatchNorm and dropout follow the model's mode again."""
    if has_lora(model):
        raise InputError(
            "the model has LoRA matrices, whose base must stay frozen; freeze before add_lora, or "
            "merge the matrices into the weights with merge_lora first."
        )
    for parameter in model.parameters():
        parameter.requires_grad = True
    for module in model.modules():
        if mode_is_held(module):
            del module.train
            module.train(model.training)
            if isinstance(module, _BatchNorm):
                module.track_running_stats = module.running_mean is not None


def _drops(module: nn.Module) -> bool:
    """Return whether a layer is dropout, or applies dropout inside.

    Attention and recurrent layers call dropout as a function, which has no mode of its own.
    """
    if isinstance(module, nn.MultiheadAttention | nn.RNNBase):
        return module.dropout > 0
    # torchvision's and timm's, by name: both take long to import
    named = type(module).__name__ in ("StochasticDepth", "DropPath")
    return named or isinstance(module, _DropoutNd)


def trainable(model: nn.Module) -> int:
    """Return the number of trainable parameters."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def _hold_mode(module: nn.Module, training: bool) -> None:
    """Keep a layer in one mode, whatever the mode of the model around it."""
    module.train(training)
    module.train = _ignore_mode


def _ignore_mode(mode: bool = True) -> None:
    """Stand in for the `train` of a layer whose mode is held."""


def _layers_before(model: nn.Module, stop: nn.Module | None) -> list[tuple[str, nn.Module]]:
    layers = []
    for name, module in model.named_modules():  # in the order of definition, parents first
        if module is stop:
            break
        layers.append((name, module))
    return layers


def _tensors(model: nn.Module) -> list[tuple[str, Tensor]]:
    """Return parameters and buffers by the names that they have without LoRA."""
    tensors = [*model.named_parameters(), *model.named_buffers()]
    return [(plain_name(name), tensor) for name, tensor in tensors]
