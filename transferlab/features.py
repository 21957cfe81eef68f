"""Frozen features, computed once: training a head on them then costs next to nothing."""

import copy
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import PIL
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.utils.data import Dataset
from tqdm.auto import tqdm

from transferlab.checks import check_pixels_seen
from transferlab.data import Batch, MemoryDataset, batches, subset
from transferlab.data.dataset import class_names, from_disk
from transferlab.data.mapped import read_mapped, remove_mapped, write_batches
from transferlab.device import choose_device
from transferlab.errors import InputError
from transferlab.files import hash_tensors, hash_text, real_path
from transferlab.finetune import mode_is_held
from transferlab.fingerprints import fingerprint
from transferlab.history import History
from transferlab.models import Backbone
from transferlab.run import QUIET_SECONDS, take_names
from transferlab.train import fit

FORMAT = "transferlab features 1"  # increase when the same network gets other features
MOST_AT_ONCE = 128  # samples
CPU_BATCH_BYTES = 5_000_000
TOLERANCE = 0.01  # far above rounding on any device, far below what another layer would change


def extract_features(
    model: Backbone,
    dataset: Dataset,
    *,
    batch_size: int | None = None,
    device: str = "auto",
    cache: str | Path | None = None,
) -> MemoryDataset:
    """Return the features of a whole data set, x of shape (N, width), with its labels.

    The features of a frozen backbone never change, so one pass over the images serves every epoch
    of training a head on them. A trainable backbone is refused: its features would be out of date
    after the first step.

    Args:
        batch_size: how many samples are computed at once; None chooses by the device.
        cache: a folder that keeps the features. A second call with the same backbone and the same
            data reads them. They stay on the disk, mapped into memory, so they and the data may be
            larger than the memory; writing to `x` changes nothing on the disk. A JSON file beside
            them says what they belong to. Several processes may use one folder.
    """
    _refuse_trainable(model)
    where = choose_device(device)
    model.to(where)
    size = _good_batch_size(model, where) if batch_size is None else batch_size
    computed = _compute(model, dataset, size, where)
    if cache is not None:
        return _through_cache(real_path(cache), computed, model, dataset, where)
    x, y = (torch.cat(part) for part in zip(*computed, strict=True))
    return MemoryDataset(x, y, class_names(dataset, y), _name(model, dataset))


def train_head(
    model: Backbone,
    train: Dataset,
    *,
    val: Dataset | None = None,
    device: str = "auto",
    cache: str | Path | None = None,
    **options: Any,
) -> History:
    """Train the head of a frozen backbone in place, on features that are computed once.

    >>> freeze(model)
    >>> history = train_head(model, train, val=val, epochs=10)

    The head becomes what `fit(model, train, …)` would make of it, up to rounding, without a pass
    through the backbone in every epoch.

    Args:
        val: validation data, measured after each epoch.
        cache: a folder that keeps the features; see `extract_features`.
        options: those of `fit`, except `augment` and `unfreeze`, which need the backbone in every
            step.
    """
    for name in ("augment", "unfreeze"):
        if options.get(name) is not None:
            raise InputError(
                f"{name}= needs a pass through the backbone in every step, but train_head computes "
                "the features once; use fit."
            )
    where = {"device": device, "cache": cache}
    take_names(model, train)
    train_features = extract_features(model, train, **where)
    val_features = None if val is None else extract_features(model, val, **where)
    return fit(model.head, train_features, val=val_features, device=device, **options)


def _refuse_trainable(model: Backbone) -> None:
    for name, parameter in model.features.named_parameters():
        if parameter.requires_grad:
            raise InputError(
                f"{model.name}: features.{name} is trainable, so its features would go out of "
                "date; call freeze(model) first."
            )
    for name, module in model.features.named_modules():
        if not isinstance(module, nn.modules.batchnorm._BatchNorm):
            continue
        if module.running_mean is None:
            raise InputError(
                f"{model.name}: BatchNorm features.{name} has no running statistics and depends "
                "on the batch; expected one with track_running_stats=True."
            )
        if module.training or not mode_is_held(module):
            raise InputError(
                f"{model.name}: BatchNorm features.{name} depends on the batch; "
                'call freeze(model, batch_stats="frozen") first.'
            )


def _name(model: Backbone, dataset: Dataset) -> str:
    return f"{getattr(dataset, 'name', 'data')}, features of {model.name}"


# ---- computing -----------------------------------------------------------------------------------


@torch.no_grad()
def _compute(
    model: Backbone,
    dataset: Dataset,
    batch_size: int,
    device: torch.device,
    *,
    workers: int | None = None,
) -> Iterator[Batch]:
    """Yield the features of one batch after the other, (rows, width), and their labels, (rows,)."""
    model = _for_inference(model)
    loader = batches(dataset, batch_size, device=device, workers=workers)
    for x, y in tqdm(loader, "features", unit="batch", leave=False, delay=QUIET_SECONDS):
        if x.ndim == 4 and device.type == "cpu":
            # In the memory order (N, H, W, C), depthwise convolutions are three times faster.
            x = x.contiguous(memory_format=torch.channels_last)
        features = model.forward_features(x)
        if not torch.isfinite(features).all():
            raise InputError(
                f"{_name(model, dataset)} hold NaN or infinite values; expected finite numbers."
            )
        yield features, y
    check_pixels_seen(model)


def _for_inference(model: Backbone) -> Backbone:
    """Return a copy in evaluation mode, with each BatchNorm fused into the convolution before it.

    A frozen BatchNorm multiplies each channel by one number and adds another. The convolution
    before it can do both, with other weights, and a MobileNet needs a third less time. Only inside
    a Sequential is it known which layer follows which.
    """
    model = copy.deepcopy(model).eval()
    for layers in list(model.modules()):
        if type(layers).forward is not nn.Sequential.forward:
            continue
        for i in range(len(layers) - 1):
            if isinstance(layers[i], nn.Conv2d) and isinstance(layers[i + 1], nn.BatchNorm2d):
                layers[i] = fuse_conv_bn_eval(layers[i], layers[i + 1])
                layers[i + 1] = nn.Identity()
    return model


def _good_batch_size(model: Backbone, device: torch.device) -> int:
    """Return how many samples to compute at once.

    A GPU is fast with many. For a CPU, 8 photos of 224 pixels are best, or as many bytes of smaller
    images: the activations of more are too large for the allocator to keep for the next batch.
    Requesting that memory from the system for every layer took half of the time.
    """
    if device.type != "cpu":
        return MOST_AT_ONCE
    sample_bytes = 4 * math.prod(model.shape)
    return min(max(1, CPU_BATCH_BYTES // sample_bytes), MOST_AT_ONCE)


# ---- caching on the disk -------------------------------------------------------------------------


def _through_cache(
    folder: Path,
    computed: Iterator[Batch],
    model: Backbone,
    dataset: Dataset,
    device: torch.device,
) -> MemoryDataset:
    """Read the features when the folder has them; otherwise compute, write and read them."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"cache={str(folder)!r} is a file; expected a folder.")
    belongs_to = _belongs_to(model, dataset)
    text = json.dumps(belongs_to, sort_keys=True, indent=2)
    key = hash_text(text)
    path = folder / f"features-{key[:16]}"
    kept = read_mapped(path, belongs_to)
    if kept is None or not _agrees(kept, model, dataset, device):
        write_batches(path, computed, len(dataset), belongs_to)
        kept = read_mapped(path, belongs_to)
        if kept is None or not _agrees(kept, model, dataset, device):
            remove_mapped(path)
            raise InputError(
                f"{_name(model, dataset)}: the same sample has other features when it is computed "
                "again, so they cannot be kept; expected a transform and layers without randomness."
            )
    x, y = kept
    return from_disk(x, y, class_names(dataset, y), _name(model, dataset))


def _belongs_to(model: Backbone, dataset: Dataset) -> dict[str, Any]:
    """Return everything that determines the features, in a form that JSON can hold."""
    import torchvision  # here: it takes as long as torch

    tensors = [*model.normalize.named_buffers("normalize")]
    tensors += [*model.features.named_parameters(), *model.features.named_buffers()]
    return {
        "format": FORMAT,
        "network": {
            "name": model.name,
            "shape": list(model.shape),
            "normalisation": repr(model.normalize),
            "normalisation left out": model.normalization_left_out,
            "BatchNorm": "frozen",
            "sha256 of the layers": hash_text(repr(model.features)),
            "sha256 of the weights": hash_tensors(tensors),
        },
        "data": fingerprint(dataset),
        "libraries": {
            library.__name__: library.__version__ for library in (PIL, torch, torchvision)
        },
    }


def _agrees(kept: Batch, model: Backbone, dataset: Dataset, device: torch.device) -> bool:
    """Compute the first and the last sample again, and compare them.

    No key can cover all code of a layer or a transform; their results can be compared.
    """
    ends = torch.tensor([0, len(dataset) - 1])
    [(now, _)] = _compute(model, subset(dataset, ends), len(ends), device, workers=0)
    now, before = now.cpu(), kept[0][ends]
    if (now.dtype, now.shape) != (before.dtype, before.shape):
        return False
    return bool((now - before).norm() <= TOLERANCE * before.norm())
