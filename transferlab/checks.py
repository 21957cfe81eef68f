"""What cannot be trained or measured is refused here, in one sentence each."""

import contextlib
import numbers
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer
from torch.utils.data import Dataset

from transferlab.data import FreshDataset, labels
from transferlab.data.dataset import names_of
from transferlab.data.workers import check_dataset
from transferlab.errors import InputError
from transferlab.optimizers import OPTIMIZERS, SCHEDULES

# ---- the arguments of fit ---------------------------------------------------------------------


def check_arguments(
    epochs: int | None, steps: int | None, lr: Any, optimizer: Any, schedule: str, loss_fn: Any
) -> None:
    """Refuse a budget, a learning rate, an optimizer, a schedule or a loss that makes no sense."""
    if isinstance(loss_fn, nn.modules.loss._Loss) or loss_fn is F.cross_entropy:
        raise InputError(
            f"loss_fn={getattr(loss_fn, '__name__', loss_fn)} takes scores and labels, but fit "
            "calls loss_fn(model, batch); expected cross_entropy_with(weight=…, label_smoothing=…) "
            "of transferlab.metrics, or a function of your own."
        )
    if (epochs is None) == (steps is None):
        raise InputError(f"give epochs or steps, one of them; found {epochs=} and {steps=}.")
    budget = epochs if steps is None else steps
    if not isinstance(budget, numbers.Integral) or budget < 1:
        raise InputError(f"found {epochs=} and {steps=}; expected a whole number, at least 1.")
    rates = [group.get("lr") for group in lr] if isinstance(lr, list) else [lr]
    for rate in rates:
        if rate is None:
            raise InputError("lr: a parameter group has no lr; expected one in each group.")
        if not isinstance(rate, numbers.Real):
            raise InputError(f"lr={rate!r}: expected a number.")
        if not rate >= 0 or (rate == 0 and len(rates) == 1):
            raise InputError(f"lr={rate}: expected a positive learning rate.")
    if schedule not in SCHEDULES:
        raise InputError(f"schedule={schedule!r} is unknown; expected {' or '.join(SCHEDULES)}.")
    if isinstance(optimizer, Optimizer):
        raise InputError(
            "optimizer is an object that exists already and may hold other parameters than the "
            "model has on its device; pass a name or a function that makes the optimizer."
        )
    if isinstance(optimizer, str) and optimizer not in OPTIMIZERS:
        raise InputError(
            f"optimizer={optimizer!r} is unknown; expected one of {', '.join(OPTIMIZERS)}."
        )


# ---- data ----------------------------------------------------------------------------------------


def check_data(model: nn.Module, train: Dataset, val: Dataset | None) -> None:
    """Refuse what is no data set, labels without an output, and names that differ in validation."""
    for dataset in (train,) if val is None else (train, val):
        check_dataset(dataset)
        _check_outputs(model, dataset)
    if val is not None:
        check_same_names(train, val)


def _check_outputs(model: nn.Module, dataset: Dataset) -> None:
    """Refuse labels that a classifier of ours has no output for, if the labels are known."""
    outputs = getattr(model, "num_classes", getattr(model, "out_features", None))
    if outputs is None:
        return
    if isinstance(dataset, FreshDataset):  # its labels are drawn later, but their names are known
        if dataset.classes:
            check_labels(torch.arange(len(dataset.classes)), outputs)
        return
    try:
        y = labels(dataset)
    except InputError:  # the data set has no attribute for its labels
        return
    check_labels(y, outputs)


def check_labels(y: Tensor, outputs: int) -> None:
    """Refuse labels that a classifier has no output for; a GPU would only report an assert."""
    largest = int(y.max())
    if largest >= outputs:
        raise InputError(
            f"the data has label {largest}, but the model has {outputs} outputs; "
            f"expected labels 0 to {outputs - 1}."
        )


def check_same_names(known: Any, dataset: Dataset) -> None:
    """Refuse data whose classes or columns are named otherwise; what has no names passes.

    Args:
        known: a model or a data set with the attributes `classes` and `columns`.
    """
    for what, advice in (
        ("classes", "give image_folder or csv_file classes=train.classes"),
        ("columns", "give csv_file columns=train.columns"),
    ):
        expected, found = _names(known, what), _names(dataset, what)
        if expected and found and found != expected[: len(found)]:
            i = next(i for i, name in enumerate(found) if expected[i : i + 1] != [name])
            instead = repr(expected[i]) if i < len(expected) else "none"
            raise InputError(
                f"{getattr(dataset, 'name', 'the data')}: number {i} of the {what} is "
                f"{found[i]!r}; expected {instead}, as in training; {advice}."
            )


def _names(of: Any, what: str) -> list[str]:
    """Return the names of classes or columns; [] where they are mere numbers."""
    names = names_of(of, what)
    return [] if names == [str(i) for i in range(len(names))] else names


# ---- models --------------------------------------------------------------------------------------


def check_trainable(model: nn.Module) -> None:
    """Refuse a model in which every parameter is frozen."""
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise InputError("the model has no trainable parameters; unfreeze a layer.")


def check_pixels_seen(model: nn.Module) -> None:
    """Refuse pixels outside 0..1 that any backbone in a model has seen on a GPU."""
    for module in model.modules():
        if hasattr(module, "check_pixels_seen"):
            module.check_pixels_seen()


def shape_advice(expected: tuple[int, ...], found: tuple[int, ...]) -> str:
    """Return what to do about inputs x of another shape than the network's."""
    if found == expected:
        return "One sample is a batch of one: x[None]."
    if len(expected) != 3:
        return "The data set has other columns."
    if len(found) == 2:
        return f"Rows of a table are for models.mlp(num_classes, shape={found[1]})."
    if len(found) != 4:
        return "Images have channels, height and width."
    channels, size = expected[:2]
    if found[3] == channels and found[1] != channels:
        return "The colours come last here; put them first: x.permute(0, 3, 1, 2)."
    if (found[1], channels) == (1, 3):
        return "Grey images become colour images by x.repeat(1, 3, 1, 1)."
    if (found[1], channels) == (3, 1):
        return "Colour images become grey by torchvision.transforms.functional.rgb_to_grayscale(x)."
    if found[1] != channels:
        return f"It sees {channels} channels, not {found[1]}."
    if expected[1] != expected[2]:
        return "Bring them to that height and width."
    return f"Resize them: data.resize(dataset, {size}), or transform=backbone.transform."


# ---- torch's messages ----------------------------------------------------------------------------

OTHER_NUMBERS = (
    "the data and the model have different types of numbers; expected those of the model, such as "
    "MemoryDataset(x.float(), y, classes)."
)
NOT_EXPLAINED_BY_TORCH = {
    "more than 1 value per channel": "BatchNorm cannot be trained on a batch of one sample; choose "
    "another batch_size, so that more than one is left for the last batch.",
    "only for scalar outputs": "loss_fn returns a loss for every sample; expected their mean.",
    "does not require grad": "loss_fn returns a loss that depends on no trainable parameter; "
    "expected loss_fn(model, batch) to call the model, and a layer that is not frozen.",
    "same dtype": OTHER_NUMBERS,
    "should be the same": OTHER_NUMBERS,
}


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """Turn torch's messages about a run's arguments into sentences about them."""
    try:
        yield
    except InputError:
        raise
    except (RuntimeError, ValueError) as error:
        for words, sentence in NOT_EXPLAINED_BY_TORCH.items():
            if words in str(error):
                raise InputError(sentence) from error
        raise
