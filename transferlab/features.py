"""Frozen features, computed once: after that, training a head costs next to nothing."""

import torch
from torch import nn
from torch.utils.data import Dataset

from transferlab.data import MemoryDataset, batches
from transferlab.device import choose_device
from transferlab.errors import InputError
from transferlab.models import Backbone


@torch.no_grad()
def extract_features(
    model: Backbone, dataset: Dataset, *, batch_size: int = 128, device: str = "auto"
) -> MemoryDataset:
    """Return the features of a whole data set, x of shape (N, width), with its labels.

    The features of a frozen backbone never change, so one pass over the images serves every epoch
    of training a head on them. A backbone that can still change is refused: its features would be
    out of date after the first step.
    """
    _refuse_trainable(model)
    where = choose_device(device)
    was_training = model.training
    model.to(where).eval()
    try:
        pairs = [
            (model.forward_features(x), y) for x, y in batches(dataset, batch_size, device=where)
        ]
    finally:
        model.train(was_training)
    x, y = (torch.cat(part) for part in zip(*pairs, strict=True))
    name = getattr(dataset, "name", "data")
    classes = getattr(dataset, "classes", None) or [str(i) for i in range(int(y.max()) + 1)]
    return MemoryDataset(x, y, classes, f"{name}, features of {model.name}")


def _refuse_trainable(model: Backbone) -> None:
    for name, parameter in model.features.named_parameters():
        if parameter.requires_grad:
            raise InputError(
                f"{model.name}: features.{name} is trainable, so its features would go out of "
                "date; call freeze(model) first."
            )
    for name, module in model.features.named_modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and "train" not in vars(module):
            raise InputError(
                f"{model.name}: the BatchNorm statistics of features.{name} still move in "
                'training; call freeze(model, batch_stats="frozen") first.'
            )
