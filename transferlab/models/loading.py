"""`load_backbone`: any network of the course or of torchvision, by name, with checked weights."""

import contextlib
import os
import urllib.error
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
import torchvision
from PIL import Image
from torch import Tensor, nn
from torchvision.transforms import functional as V

from transferlab.data.places import weights_folders
from transferlab.device import seeded
from transferlab.errors import InputError
from transferlab.models.backbone import Backbone
from transferlab.models.resnet import narrow_resnet50, resnet20
from transferlab.models.small import mlp, small_cnn
from transferlab.models.weights import SHIPPED, card, load_into, read_weights, shipped

OWN = {
    "mlp": mlp,
    "small_cnn": small_cnn,
    "resnet20": resnet20,
    "narrow_resnet50": narrow_resnet50,
}
FIXED_SIZE = ("vit_", "maxvit_")  # their position tables fit one image size only


def backbone_names() -> list[str]:
    """Return every name that `load_backbone` knows: our own networks, then torchvision's."""
    return [*OWN, *torchvision.models.list_models(module=torchvision.models)]


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
    >>> load_backbone("resnet50", weights="IMAGENET1K_V2", num_classes=2)
    >>> load_backbone("mobilenet_v2", weights="my/weights.pth")

    Args:
        name: one of `backbone_names()`.
        weights: None (random), the name of a shipped checkpoint, the name of torchvision weights
            ("DEFAULT", "IMAGENET1K_V1", …), or the path of a file.
        num_classes: outputs of a new head; None keeps the head that came with the weights.
        size: image height and width, when they are to differ from what the weights were made for.
        normalize: False leaves out the weights' own mean and deviation. That is nearly always a
            mistake; it has to be asked for.
        sha256: the expected hash of a weights file, when its name does not say it.
        seed: makes random weights and the new head reproducible.
    """
    with seeded(seed) if seed is not None else contextlib.nullcontext():
        if name in OWN:
            model = _own(name, weights, num_classes, size, sha256)
        elif name in torchvision.models.list_models(module=torchvision.models):
            model = _torchvision(name, weights, num_classes, size, sha256)
        else:
            raise InputError(
                f"network {name!r} is unknown; expected {', '.join(OWN)}, or a classifier of "
                "torchvision.models, such as 'resnet50'."
            )
    if not normalize:
        model.normalize = nn.Identity()
    return model


def save_weights(model: Backbone, path: str | Path, dtype: torch.dtype | None = None) -> None:
    """Write features and head to a `.safetensors` file that `load_backbone` reads.

    Args:
        dtype: torch.float16 halves the file; the running statistics of BatchNorm are rounded too.
    """
    tensors = {
        name: tensor.to(dtype) if dtype and tensor.is_floating_point() else tensor
        for name, tensor in model.state_dict().items()
    }
    tensors = {name: tensor.contiguous().cpu() for name, tensor in tensors.items()}
    path = Path(path)
    partial = path.with_name(path.name + ".part")  # a crash leaves the old file whole
    safetensors.torch.save_file(tensors, partial, metadata={"architecture": model.name})
    partial.replace(path)


# ---- our own networks ----------------------------------------------------------------------------


def _own(
    name: str,
    weights: str | Path | None,
    num_classes: int | None,
    size: int | None,
    sha256: str | None,
) -> Backbone:
    build = OWN[name]
    if weights is None:
        if num_classes is None:
            raise InputError(f"{name} without weights has no head yet; give num_classes=.")
        return build(num_classes) if size is None else build(num_classes, _shape(build, size))
    state, path = _read_own(name, weights, sha256)
    if "head.weight" not in state:
        raise InputError(f"{path} holds no head; expected tensors head.weight and head.bias.")
    made_for = None
    if str(weights) in shipped():
        made_for = tuple(card(str(weights))["shape"])
    shape = _shape(build, size) if size is not None else made_for
    classes = len(state["head.weight"])
    model = build(classes) if shape is None else build(classes, shape)
    load_into(model, state, str(path))
    model.weights = str(weights)
    if num_classes is not None:
        model.replace_head(num_classes)
    return model


def _shape(build: object, size: int) -> tuple[int, int, int]:
    if size < 4:
        raise InputError(f"the network needs images of at least 4 pixels; found size={size}.")
    channels = build.__defaults__[1][0]  # the `shape` that the builder has as its default
    return (channels, size, size)


def _read_own(name: str, weights: str | Path, sha256: str | None) -> tuple[dict[str, Tensor], Path]:
    if str(weights) in shipped():
        about = card(str(weights))
        if about["architecture"] != name:
            raise InputError(
                f"weights {str(weights)!r} belong to {about['architecture']}, not to {name}."
            )
        path = SHIPPED / f"{weights}.safetensors"
        return read_weights(path, about["sha256"]), path
    path = Path(weights)
    if not path.is_file():
        raise InputError(
            f"weights {str(weights)!r}: there is no such file and no shipped checkpoint of that "
            f"name; shipped are {', '.join(shipped()) or 'none'}."
        )
    return _own_names(read_weights(path, sha256)), path


def _own_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename the tensors of a published checkpoint: its last layer is our head."""
    if _is_backbone_layout(state):
        return state
    heads = {"linear": "head", "fc": "head", "classifier": "head"}
    renamed = {}
    for key, tensor in state.items():
        first, _, rest = key.partition(".")
        renamed[f"{heads[first]}.{rest}" if first in heads else f"features.{key}"] = tensor
    return renamed


def _is_backbone_layout(state: dict[str, Tensor]) -> bool:
    return all(key.startswith(("features.", "head.")) for key in state)


# ---- torchvision's networks ----------------------------------------------------------------------


@dataclass(frozen=True)
class Preprocess:
    """Resize, then crop the centre: a PIL picture → uint8 of shape (3, size, size).

    The same steps as torchvision's preset; the normalisation is a layer of the backbone.
    """

    size: int
    resize: int
    interpolation: V.InterpolationMode = V.InterpolationMode.BILINEAR

    def __call__(self, picture: Image.Image) -> Tensor:
        picture = V.resize(picture.convert("RGB"), [self.resize], self.interpolation)
        return V.pil_to_tensor(V.center_crop(picture, [self.size, self.size]))


def _torchvision(
    name: str,
    weights: str | Path | None,
    num_classes: int | None,
    size: int | None,
    sha256: str | None,
) -> Backbone:
    versions = torchvision.models.get_model_weights(name)
    version = _version(name, weights, versions)
    preset = version.transforms()
    own_size, smallest = preset.crop_size[0], max(version.meta.get("min_size", (1, 1)))
    size = own_size if size is None else size
    if size < smallest:
        raise InputError(f"{name} needs images of at least {smallest} pixels; found size={size}.")
    if size != own_size and name.startswith(FIXED_SIZE):
        raise InputError(f"{name} works at {own_size} pixels only; found size={size}.")
    if weights is None and num_classes is None:
        raise InputError(f"{name} without weights has no head yet; give num_classes=.")

    state, source = None, "random weights"
    if weights is not None:
        path = _torchvision_file(name, version) if str(weights) in _names(versions) else weights
        state, source = read_weights(path, sha256), str(path)
    own_layout = state is not None and _is_backbone_layout(state)

    options = {}
    if name in ("inception_v3", "googlenet"):
        # The published weights expect a rescaled input; ours do too, so that they can be saved and
        # read again. Most, but not all, files come with auxiliary heads, which are then dropped.
        options = {"init_weights": state is None, "transform_input": True}
        options["aux_logits"] = state is not None and any(k.lower()[:3] == "aux" for k in state)
    network = torchvision.models.get_model(name, weights=None, **options)
    head_name = _head_name(network)
    if own_layout and "head.weight" not in state:
        raise InputError(f"{source} holds no head; expected tensors head.weight and head.bias.")
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
        num_classes=num_classes or len(old_head.weight),
        shape=(3, size, size),
        name=name,
        mean=preset.mean,
        std=preset.std,
        transform=Preprocess(
            size, round(preset.resize_size[0] * size / own_size), preset.interpolation
        ),
    )
    if own_layout:
        model.replace_head(len(state["head.weight"]))
        load_into(model, state, source)
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


def _version(name: str, weights: str | Path | None, versions: type):
    """Return the torchvision weights whose preprocessing counts: those named, or the first ones."""
    if weights is not None and str(weights) in _names(versions):
        return versions[str(weights)]
    if weights is not None and not Path(weights).is_file():
        raise InputError(
            f"{name}: weights {str(weights)!r} are neither a file nor one of "
            f"{', '.join(_names(versions))}."
        )
    return next(iter(versions))


def _torchvision_file(name: str, version) -> Path:
    """Return the file of torchvision weights, from the disk or from the network."""
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
    except (urllib.error.URLError, OSError, RuntimeError) as error:
        raise InputError(missing) from error
    return target / file_name


def _head_name(network: nn.Module) -> str:
    """Return the name of the layer that makes the class scores: the last one with weights."""
    layers = [
        layer
        for layer, module in network.named_modules()
        if isinstance(module, nn.Linear | nn.Conv2d) and "aux" not in layer.lower()
    ]
    return layers[-1]


def _fit_head(network: nn.Module, head_name: str, state: dict[str, Tensor]) -> None:
    """Give the network as many outputs as the weights have, which need not be 1000."""
    head, rows = network.get_submodule(head_name), state.get(f"{head_name}.weight")
    if isinstance(head, nn.Linear) and rows is not None and len(rows) != head.out_features:
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
