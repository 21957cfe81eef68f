"""`load_backbone`: networks of the course, torchvision and timm by name, with checked weights."""

import contextlib
import difflib
import inspect
import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from transferlab.device import seeded
from transferlab.errors import InputError
from transferlab.models.backbone import Backbone
from transferlab.models.inception import narrow_inception
from transferlab.models.lora import has_lora
from transferlab.models.resnet import narrow_resnet50, resnet20
from transferlab.models.small import mlp, small_cnn
from transferlab.models.timm_models import LITE, PREFIX, timm_backbone
from transferlab.models.torchvision_models import torchvision_backbone, torchvision_names
from transferlab.models.transformer import text_transformer
from transferlab.models.vgg import narrow_vgg16
from transferlab.models.weights import (
    SHIPPED,
    card,
    head_rows,
    is_backbone_layout,
    load_into,
    read_note,
    read_weights,
    shipped,
    tied_names,
    without_prefix,
    write_weights,
)

BUILDERS = (mlp, small_cnn, resnet20, narrow_resnet50, narrow_vgg16, narrow_inception)
OWN = {build.__name__: build for build in (*BUILDERS, text_transformer)}


def load_backbone(
    name: str,
    weights: str | Path | None = None,
    num_classes: int | None = None,
    *,
    size: int | None = None,
    normalize: bool = True,
    sha256: str | None = None,
    seed: int | None = None,
) -> Backbone:
    """Return a network with its features, its head and its own preprocessing.

    >>> load_backbone("small_cnn", weights="letters", num_classes=10)
    >>> load_backbone("efficientnet_lite0", weights="packaged", num_classes=2)
    >>> load_backbone("resnet50", weights="IMAGENET1K_V2", num_classes=2)
    >>> load_backbone("mobilenet_v2", weights="my/weights.pth")

    Args:
        name: one of `OWN` or `LITE`, "resnet50" (of torchvision), "timm:resnet50" (of timm), ….
        weights: None (random), the name of a shipped checkpoint, "packaged" (for `LITE`), the name
            of torchvision weights ("IMAGENET1K_V1"), "DEFAULT" (torchvision's, or of timm's hub),
            or the path of a file, whose numbers become float32.
        num_classes: outputs of a new head; None keeps the head that came with the weights.
        size: image height and width, where they should differ from those of pre-training.
        normalize: False leaves out the normalisation by the weights' mean and standard deviation.
            That is nearly always a mistake, so it has to be explicit.
        sha256: the expected hash of a weights file, when its name does not contain it.
        seed: makes random weights and the new head reproducible.
    """
    is_timm = str(name).startswith(PREFIX) or name in LITE
    if name not in OWN and not is_timm and name not in torchvision_names():
        names = [*OWN, *LITE, *torchvision_names()]
        near = difflib.get_close_matches(str(name).lower(), names, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise InputError(
            f"network {name!r} is unknown; expected {', '.join([*OWN, *LITE])}, a classifier of "
            f"torchvision.models, such as 'resnet50', or of timm, such as 'timm:resnet50'.{hint}"
        )
    if weights is not None:
        weights = str(Path(weights).expanduser())  # a name has no ~ and stays as it is
    elif num_classes is None:
        raise InputError(f"{name} without weights has no head yet; give num_classes=.")
    note = {}
    if weights is not None and (name in OWN or str(weights) not in shipped()):
        note = read_note(weights, name)  # torchvision's networks do not know the shipped names
    if normalize and note.get("normalized") is False:
        raise InputError(
            f"{weights} learned from images that were not normalised; give normalize=False."
        )
    build = _own if name in OWN else timm_backbone if is_timm else torchvision_backbone
    with seeded(seed) if seed is not None else contextlib.nullcontext():
        model = build(name, weights, num_classes, size, sha256, note)
    if not normalize:
        model.leave_out_normalization()
    if num_classes is None:
        model.classes = note.get("classes", model.classes)
        model.trained_on = note.get("trained_on", model.trained_on)
    model.columns = note.get("columns")
    return model


def save_weights(model: Backbone, path: str | Path, dtype: torch.dtype | None = None) -> None:
    """Write features and head to a `.safetensors` file that `load_backbone` reads.

    Args:
        dtype: torch.float16 halves the file; the running statistics of BatchNorm are rounded too.
            Whatever it is, `load_backbone` makes it float32.
    """
    if has_lora(model):
        raise InputError(
            f"{model.name} has LoRA matrices, which a plain network cannot load; call merge_lora "
            "first, or save_lora."
        )
    note = {
        "architecture": model.name,
        "shape": list(model.shape),
        "normalized": not model.normalization_left_out,
        "preprocessing": getattr(model.transform, "version", None),
        "classes": model.classes,
        "trained_on": model.trained_on,
        "columns": model.columns,
        "tied": tied_names(model),
    }
    write_weights(path, model.state_dict(), note, dtype)


def _own(
    name: str,
    weights: str | Path | None,
    num_classes: int | None,
    size: int | None,
    sha256: str | None,
    note: dict[str, Any],
) -> Backbone:
    build = OWN[name]
    usual = inspect.signature(build).parameters["shape"].default
    shape = tuple(note.get("shape", usual))
    if len(shape) != len(usual):
        raise InputError(f"{weights} notes inputs of shape {shape}; {name}'s are like {usual}.")
    if size is not None:
        shape = _resized(shape, size)
    if weights is None:
        return build(num_classes, shape)
    state, path = _read_own(weights, sha256)
    model = build(head_rows(state, path), shape)
    load_into(model, state, str(path), note.get("tied"))
    model.weights = str(weights)
    if num_classes is not None:
        model.replace_head(num_classes)
    return model


def _resized(shape: tuple[int, ...], size: int) -> tuple[int, int, int]:
    if len(shape) != 3:
        raise InputError(f"size={size} is for images; the network expects inputs of shape {shape}.")
    if size < 4:
        raise InputError(f"the network needs images of at least 4 pixels; found size={size}.")
    return (shape[0], size, size)


def _read_own(weights: str | Path, sha256: str | None) -> tuple[dict[str, Tensor], Path]:
    if str(weights) in shipped():
        path = SHIPPED / f"{weights}.safetensors"
        return read_weights(path, sha256 or card(str(weights))["sha256"]), path
    path = Path(weights)
    if not path.exists():
        raise InputError(
            f"weights {str(weights)!r}: there is no such file and no shipped checkpoint of that "
            f"name; shipped are {', '.join(shipped()) or 'none'}."
        )
    return _own_names(without_prefix(read_weights(path, sha256))), path


def _own_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename the tensors of a published checkpoint: its last layer is our head."""
    if is_backbone_layout(state):
        return state
    named = {f"features.{name}": tensor for name, tensor in state.items()}
    head = r"^features\.(linear|fc|classifier)\."
    return {re.sub(head, "head.", name): tensor for name, tensor in named.items()}
