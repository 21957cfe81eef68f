"""LoRA: small trainable matrices that are added to frozen weights.

>>> freeze(model)                         # the pre-trained part stays as it is
>>> add_lora(model, rank=4, alpha=4)      # the matrices and the head learn
>>> fit(model, train, epochs=10)
>>> save_lora(model, "task.safetensors")  # what was trained, a small file
>>> merge_lora(model)                     # or merge the matrices into the weights

Source: Hu et al., LoRA: Low-Rank Adaptation of Large Language Models (2022).
"""

import math
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from transferlab.errors import InputError
from transferlab.files import hash_tensors
from transferlab.models.backbone import Backbone
from transferlab.models.weights import head_rows, read_note, read_weights, write_weights

MATRIX = ".parametrizations.weight.0.A"  # how the names of the matrices A end


class LoRA(nn.Module):
    """W → W + (α / r) · B A, for a frozen W. (rows, …) → (rows, …)

    A weight is read as a matrix with one row per output. That of a linear layer is one already; a
    convolution's, of shape (outputs, inputs / groups, height, width), has one column for each
    number that an output looks at. Without groups, convolving with B A is then the same as
    convolving with A, which makes r channels, and after it with B, a convolution of 1×1.

    B starts at zero, so that the first step starts from the pre-trained network.
    """

    def __init__(self, weight: Tensor, rank: int, alpha: float, generator: torch.Generator) -> None:
        super().__init__()
        rows, columns = weight.flatten(1).shape
        noise = torch.randn(rank, columns, generator=generator) / columns**0.5
        self.A = nn.Parameter(noise.to(weight))
        self.B = nn.Parameter(weight.new_zeros(rows, rank))
        self.alpha, self.scale = alpha, alpha / rank

    def forward(self, weight: Tensor) -> Tensor:
        return torch.addmm(weight.flatten(1), self.B, self.A, alpha=self.scale).view_as(weight)


def add_lora(
    model: Backbone,
    rank: int,
    alpha: float,
    layers: Sequence[str] | None = None,
    *,
    seed: int = 0,
) -> None:
    """Add LoRA matrices to linear layers and convolutions of the features, in place.

    Freeze the features first (`transferlab.finetune.freeze`, which also decides about BatchNorm
    and dropout); then only the matrices and the head are trained. The outputs stay exactly the
    same until the first step is taken. Biases and normalisations get no matrices.

    The layers keep their classes; torch computes the sum whenever a weight is asked for. This also
    works where attention reads a layer's weight without calling the layer, which a parallel branch
    would miss. The price: backward goes through the whole sum, so a step takes as long
    as one of full fine-tuning. What LoRA saves here is memory for the optimizer, and disk space.

    Args:
        rank: r, the rank of what can be added to a weight. A layer of m × n numbers gets
            r · (m + n) new ones.
        alpha: α; what is added is scaled by α / r, so that another rank can keep the same lr.
        layers: names of layers, or of blocks with such layers in them, such as ["layer4"] (searched
            in the features). None: all linear layers and convolutions of the features.
        seed: fixes the random A.
    """
    if rank < 1 or not 0 < alpha < math.inf:
        raise InputError(f"rank={rank}, alpha={alpha}: expected at least 1 and a positive number.")
    if has_lora(model):
        raise InputError(f"{model.name} has LoRA matrices already; call merge_lora first.")
    for name, parameter in model.features.named_parameters():
        if parameter.requires_grad:
            raise InputError(
                f"{model.name}: features.{name} is trainable, and LoRA belongs beside frozen "
                "weights; call freeze(model) first."
            )
    generator = torch.Generator().manual_seed(seed)
    chosen = {name: model.get_submodule(name).weight for name in _choose(model, layers)}
    for name, module in model.named_modules():
        for mine in chosen if name not in chosen else ():
            if any(weight is chosen[mine] for weight in module.parameters(recurse=False)):
                raise InputError(
                    f"{model.name}: {mine} and {name} share a weight, and {name} gets no matrices; "
                    "choose layers= so that both get them, or neither."
                )
    # Layers that share a weight share its matrices.
    loras = {w: LoRA(w, rank, alpha, generator) for w in dict.fromkeys(chosen.values())}
    for name, weight in chosen.items():
        parametrize.register_parametrization(model.get_submodule(name), "weight", loras[weight])


def merge_lora(model: nn.Module) -> None:
    """Merge the matrices into the weights: W + (α / r) · B A becomes W, in place.

    This restores the plain architecture and its original parameter names.
    """
    merged = set()  # a weight that layers share changes once
    for layer in _lora_layers(model).values():
        weight = layer.parametrizations.weight.original
        parametrize.remove_parametrizations(
            layer, "weight", leave_parametrized=weight not in merged
        )
        merged.add(weight)


def has_lora(model: nn.Module) -> bool:
    """Return whether a model has LoRA matrices."""
    return bool(_lora_layers(model))


def plain_name(name: str) -> str:
    """Return the name that a tensor has without LoRA, as in a file of plain weights."""
    return name.replace(".parametrizations.weight.original", ".weight")


def save_lora(model: Backbone, path: str | Path) -> None:
    """Write what training changed to a `.safetensors` file, completely or not at all.

    That is the matrices, the head, without which they are useless, and the running statistics of
    BatchNorm. The frozen weights are not in the file; their hash is.
    """
    adapted = _lora_layers(model)
    if not adapted:
        raise InputError(f"{model.name} has no LoRA matrices to save; call add_lora first.")
    lora = next(iter(adapted.values())).parametrizations.weight[0]
    note = {
        "architecture": model.name,
        "frozen": hash_tensors(sorted(_base(model).items())),
        "alpha": lora.alpha,
        "classes": model.classes,
    }
    write_weights(path, _moved(model), note, dtype=None)


def load_lora(model: Backbone, path: str | Path) -> None:
    """Add the matrices and the head that `save_lora` wrote to the frozen base they belong to.

    The base is compared by its hash; another base is refused, and so is an altered file.
    """
    moved, note = read_weights(path), read_note(path, model.name)
    if not {"frozen", "alpha"} <= note.keys():
        raise InputError(f"{path} holds no LoRA matrices as this version's save_lora writes them.")
    if hash_tensors(sorted(_base(model).items())) != note["frozen"]:
        raise InputError(
            f"{path} was trained on other weights of {model.name} than this model has; load "
            "those weights first."
        )
    rows = head_rows(moved, path)
    layers = {name.removesuffix(MATRIX): t for name, t in moved.items() if name.endswith(MATRIX)}
    rank = max((t.shape[0] for t in layers.values() if t.ndim), default=0)
    add_lora(model, rank, note["alpha"], list(layers))
    expected = {name: tensor.shape for name, tensor in _moved(model).items()}
    expected |= {"head.weight": (rows, model.width), "head.bias": (rows,)}
    if {name: tensor.shape for name, tensor in moved.items()} != expected:
        merge_lora(model)  # B is 0: the weights stay as they were
        raise InputError(f"{path} was altered: its tensors are not those of one LoRA.")
    if rows != model.num_classes:
        model.replace_head(rows)
    model.load_state_dict(moved, strict=False)  # the base is in the model already
    model.classes = note.get("classes")


def _lora_layers(model: nn.Module) -> dict[str, nn.Module]:
    """Return the layers that have LoRA matrices, by name."""
    return {
        name: module
        for name, module in model.named_modules()
        if parametrize.is_parametrized(module, "weight")
        and isinstance(module.parametrizations.weight[0], LoRA)
    }


def _choose(model: Backbone, layers: Sequence[str] | None) -> list[str]:
    """Return the names of the layers that get matrices, in the order of definition."""
    suitable = [
        name
        for name, module in model.named_modules()
        if name.startswith("features.") and isinstance(module, nn.Linear | nn.Conv2d)
    ]
    if layers is None:
        return suitable
    chosen = set()
    for layer in layers:
        full = layer if layer.startswith("features.") else f"features.{layer}"
        inside = [name for name in suitable if name == full or name.startswith(f"{full}.")]
        if not inside:
            raise InputError(
                f"layers has {layer!r}, where {model.name} has no linear layer or convolution; "
                f"expected some of {', '.join(suitable)}, or blocks of them."
            )
        chosen.update(inside)
    return [name for name in suitable if name in chosen]


def _base(model: Backbone) -> dict[str, Tensor]:
    """Return the frozen weights that the matrices are added to, and the normalisation."""
    matrices = {p for m in model.modules() if isinstance(m, LoRA) for p in m.parameters()}
    base = dict(model.normalize.named_buffers("normalize"))
    for name, parameter in model.features.named_parameters("features", remove_duplicate=False):
        if parameter not in matrices:
            base[plain_name(name)] = parameter
    return base


def _moved(model: Backbone) -> dict[str, Tensor]:
    """Return the rest of the state dict: matrices, head and running statistics."""
    base = _base(model)
    return {name: t for name, t in model.state_dict().items() if plain_name(name) not in base}
