"""torchvision's classifiers as backbones, with the preprocessing that belongs to their weights."""

import enum
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from transferlab.data.places import weights_folders
from transferlab.errors import InputError
from transferlab.models.backbone import Backbone
from transferlab.models.weights import (
    head_rows,
    is_backbone_layout,
    load_into,
    read_weights,
    without_prefix,
)

FIXED_SIZE = ("vit_", "maxvit_")  # their position tables fit one image size only


def torchvision_names() -> list[str]:
    """Return the names of torchvision's classifiers."""
    from torchvision import models  # here, and so below: it takes as long as torch

    return models.list_models(module=models)


@dataclass(frozen=True)
class Preprocess:
    """Resize, then crop the centre: a PIL picture → uint8 of shape (3, size, size).

    The same steps as torchvision's preset for the weights `version`; the normalisation is a layer
    of the backbone.
    """

    version: str
    size: int
    resize: int
    interpolation: Any  # torchvision's InterpolationMode

    def __call__(self, picture: Image.Image) -> Tensor:
        from torchvision.transforms import functional as V

        picture = V.resize(picture.convert("RGB"), [self.resize], self.interpolation)
        return V.pil_to_tensor(V.center_crop(picture, [self.size, self.size]))


def torchvision_backbone(
    name: str,
    weights: str | Path | None,
    num_classes: int | None,
    size: int | None,
    sha256: str | None,
    note: dict[str, Any],
) -> Backbone:
    """Return a classifier of torchvision as a backbone.

    Args: those of `load_backbone`, and the note that `save_weights` wrote beside the weights.
    """
    from torchvision import models

    versions = models.get_model_weights(name)
    version = _version(name, weights, versions, note)
    state, source = None, "random weights"
    if weights is not None:
        path = torchvision_file(name, version) if str(weights) in _names(versions) else weights
        state, source = without_prefix(read_weights(path, sha256)), str(path)
    own_layout = state is not None and is_backbone_layout(state)

    preset = version.transforms()
    own_size, smallest = preset.crop_size[0], max(version.meta.get("min_size", (1, 1)))
    size = note.get("shape", (own_size,))[-1] if size is None else size
    if size < smallest:
        raise InputError(f"{name} needs images of at least {smallest} pixels; found size={size}.")
    if size != own_size and name.startswith(FIXED_SIZE):
        raise InputError(f"{name} works at {own_size} pixels only; found size={size}.")

    options = {}
    if name in ("inception_v3", "googlenet"):
        # The published weights expect a rescaled input; ours do too, so that they can be saved and
        # read again. Most, but not all, files come with auxiliary heads, which are then dropped.
        options = {"init_weights": state is None, "transform_input": True}
        options["aux_logits"] = state is not None and any(k.lower()[:3] == "aux" for k in state)
    network = models.get_model(name, weights=None, **options)
    head_name = _head_name(network)
    if state is not None and not own_layout:
        _fit_head(network, head_name, state)
        load_into(network, state, source)
    if options:
        network.aux_logits = False
        network.AuxLogits = network.aux1 = network.aux2 = None
    old_head = _cut_head(network, head_name)

    model = Backbone(
        network,
        width=old_head.weight.shape[1],
        num_classes=len(old_head.weight) if num_classes is None else num_classes,
        shape=(3, size, size),
        name=name,
        mean=preset.mean,
        std=preset.std,
        transform=Preprocess(
            version.name,
            size,
            round(preset.resize_size[0] * size / own_size),
            preset.interpolation,
        ),
    )
    if own_layout:
        model.replace_head(head_rows(state, source))
        load_into(model, state, source, note.get("tied"))
        if num_classes is not None:
            model.replace_head(num_classes)
    elif num_classes is None:
        if not isinstance(old_head, nn.Linear):
            raise InputError(
                f"{name}'s own head is a convolution; give num_classes= for a new one."
            )
        model.head = old_head
    model.weights = None if state is None else str(weights)
    return model


def _names(versions: type) -> list[str]:
    return list(versions.__members__)  # with DEFAULT, a second name of one of them


def _version(name: str, weights: str | Path | None, versions: type, note: dict[str, Any]):
    """Return the torchvision weights whose preprocessing applies.

    They are those named, those that a file of ours came from, or the architecture's first ones.
    """
    if weights is None:
        return next(iter(versions))
    if str(weights) in _names(versions):
        return versions[str(weights)]
    if not Path(weights).is_file():
        raise InputError(
            f"{name}: weights {str(weights)!r} are neither a file nor one of "
            f"{', '.join(_names(versions))}."
        )
    came_from = note.get("preprocessing") or next(iter(versions)).name
    if came_from not in _names(versions):
        raise InputError(
            f"{weights} notes the preprocessing of {came_from!r}; this torchvision has "
            f"{', '.join(_names(versions))}."
        )
    return versions[came_from]


def torchvision_file(name: str, version: enum.Enum) -> Path:
    """Return the file of torchvision weights, from the disk or from the network.

    With neither, an InputError says which file to put where.

    Args:
        name: the network's name, for the message.
        version: one of torchvision's weights, such as `ResNet18_Weights.DEFAULT`.
    """
    file_name = Path(version.url).name
    for folder in weights_folders():
        if (folder / file_name).is_file():
            return folder / file_name
    target = weights_folders()[-1]
    missing = (
        f"{name} {version.name}: {file_name} is not on this machine and cannot be downloaded; "
        f"fetch {version.url} elsewhere and put the file into {target}."
    )
    if os.environ.get("TRANSFERLAB_OFFLINE"):
        raise InputError(missing)
    try:
        torch.hub.load_state_dict_from_url(version.url, str(target), check_hash=True)
    except (OSError, RuntimeError) as error:
        raise InputError(missing) from error
    return target / file_name


def _head_name(network: nn.Module) -> str:
    """Return the name of the layer that computes the class scores: the last one with weights."""
    layers = [
        layer
        for layer, module in network.named_modules()
        if isinstance(module, nn.Linear | nn.Conv2d) and "aux" not in layer.lower()
    ]
    return layers[-1]


def _fit_head(network: nn.Module, head_name: str, state: dict[str, Tensor]) -> None:
    """Give the network as many outputs as the weights have, which need not be 1000."""
    head, rows = network.get_submodule(head_name), state.get(f"{head_name}.weight")
    if isinstance(head, nn.Linear) and rows is not None and rows.ndim == 2:
        network.set_submodule(
            head_name, nn.Linear(head.in_features, len(rows), bias=head.bias is not None)
        )


def _cut_head(network: nn.Module, head_name: str) -> nn.Module:
    """Take the head off, so that the network returns its features, and return the head."""
    head = network.get_submodule(head_name)
    if isinstance(head, nn.Linear):
        network.set_submodule(head_name, nn.Identity())
    else:  # SqueezeNet ends in dropout, convolution, ReLU, average: keep the average
        network.classifier = nn.Sequential(nn.Dropout(0.5), nn.AdaptiveAvgPool2d(1))
    return head
