"""Frozen features, computed once: after that, training a head costs next to nothing."""

import torch
from torch import nn
from torch.utils.data import Dataset

from transferlab.data import MemoryDataset, batches
from transferlab.data.dataset import class_names
from transferlab.device import choose_device
from transferlab.errors import InputError
from transferlab.evaluate import evaluation_mode
from transferlab.finetune import mode_is_held
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
    with evaluation_mode(model.to(where)):
        pairs = [
            (model.forward_features(x), y) for x, y in batches(dataset, batch_size, device=where)
        ]
    x, y = (torch.cat(part) for part in zip(*pairs, strict=True))
    name = f"{getattr(dataset, 'name', 'data')}, features of {model.name}"
    return MemoryDataset(x, y, class_names(dataset, y), name)


def _refuse_trainable(model: Backbone) -> None:
    for name, parameter in model.features.named_parameters():
        if parameter.requires_grad:
            raise InputError(
                f"{model.name}: features.{name} is trainable, so its features would go out of "
                "date; call freeze(model) first."
            )
    for name, module in model.features.named_modules():
        frozen = mode_is_held(module) and not module.training
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and not frozen:
            raise InputError(
                f"{model.name}: BatchNorm features.{name} depends on the batch; "
                'call freeze(model, batch_stats="frozen") first.'
            )
