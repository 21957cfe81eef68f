"""How good is a model? Loss, accuracy, confusion, and intervals over seeds."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import Dataset

from transferlab.checks import check_labels, check_pixels_seen, check_same_names
from transferlab.data import Batch, batches
from transferlab.data.dataset import class_names
from transferlab.device import choose_device
from transferlab.errors import InputError

LossFunction = Callable[[nn.Module, Batch], Tensor]  # returns the mean loss of one batch


def cross_entropy(model: nn.Module, batch: Batch) -> Tensor:
    """Return the mean cross-entropy of a classifier on one batch, in nats."""
    x, y = batch
    return F.cross_entropy(model(x), y)


def cross_entropy_with(
    weight: Sequence[float] | Tensor | None = None, label_smoothing: float = 0.0
) -> LossFunction:
    """Return a cross-entropy for `fit(loss_fn=…)` with the options of torch's.

    Args:
        weight: of each class, shape (classes,); rare classes may count more.
        label_smoothing: the share of probability that all classes get, 0..1.
    """
    if not 0 <= label_smoothing <= 1:
        raise InputError(f"label_smoothing={label_smoothing}: expected a number in 0..1.")
    given = None if weight is None else torch.as_tensor(weight, dtype=torch.float32)

    def weighted_cross_entropy(model: nn.Module, batch: Batch) -> Tensor:
        x, y = batch
        scores = model(x)
        if given is not None and given.shape != scores.shape[1:2]:
            raise InputError(
                f"weight has shape {tuple(given.shape)}; expected one number for each of "
                f"{scores.shape[1]} classes."
            )
        of_class = None if given is None else given.to(scores.device, scores.dtype)
        return F.cross_entropy(scores, y, of_class, label_smoothing=label_smoothing)

    return weighted_cross_entropy


def full_precision(x: Tensor) -> Tensor:
    """Return the float16 and bfloat16 numbers of mixed precision as float32; others as they are."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


@dataclass(frozen=True)
class Evaluation:
    """The result of `evaluate`.

    Attributes:
        loss: mean cross-entropy per sample, in nats.
        accuracy: share of samples whose largest score is that of the true class, 0..1.
        confusion: counts, shape (classes, classes); rows are true classes, columns predicted ones.
        classes: the names that belong to rows and columns.
    """

    loss: float
    accuracy: float
    confusion: Tensor
    classes: list[str]

    def __str__(self) -> str:
        n = int(self.confusion.sum())
        return f"accuracy {self.accuracy:.1%}, loss {self.loss:.3f} on {n:,} samples"


@torch.no_grad()
def class_scores(
    model: nn.Module, dataset: Dataset, *, batch_size: int = 128, device: str = "auto"
) -> tuple[Tensor, Tensor]:
    """Return the scores, shape (N, classes), and the labels, shape (N,), of a whole data set.

    The model runs in evaluation mode and is left in the mode it was in.
    """
    where = choose_device(device)
    with evaluation_mode(model.to(where)):
        pairs = [(model(x), y) for x, y in batches(dataset, batch_size, device=where)]
    check_pixels_seen(model)
    scores, y = zip(*pairs, strict=True)
    return torch.cat(scores), torch.cat(y)


@contextlib.contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Put the model into evaluation mode; afterwards restore the mode of every layer."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def evaluate(
    model: nn.Module, dataset: Dataset, *, batch_size: int = 128, device: str = "auto"
) -> Evaluation:
    """Measure a classifier on a data set; every sample counts the same, even in the last batch.

    The names of classes and columns must be those that the model was trained with.
    """
    check_same_names(model, dataset)
    scores, y = class_scores(model, dataset, batch_size=batch_size, device=device)
    num_classes = scores.shape[1]
    check_labels(y, num_classes)
    confusion = torch.bincount(y * num_classes + scores.argmax(1), minlength=num_classes**2)
    confusion = confusion.view(num_classes, num_classes).cpu()
    names = class_names(dataset, y)[:num_classes]
    names += [str(i) for i in range(len(names), num_classes)]  # outputs without a name
    return Evaluation(
        loss=F.cross_entropy(scores.cpu().double(), y.cpu()).item(),
        accuracy=confusion.diagonal().sum().item() / len(y),
        confusion=confusion,
        classes=names,
    )


@torch.no_grad()
def mean_loss(
    model: nn.Module,
    dataset: Dataset,
    loss_fn: LossFunction,
    *,
    batch_size: int = 128,
    device: str = "auto",
) -> float:
    """Return the mean per sample of any loss function, in evaluation mode.

    Args:
        loss_fn: `loss_fn(model, batch)` returns the mean loss of one batch, as for `fit`.
    """
    where = choose_device(device)
    total, count = 0.0, 0
    with evaluation_mode(model.to(where)):
        for x, y in batches(dataset, batch_size, device=where):
            total += loss_fn(model, (x, y)).item() * len(y)
            count += len(y)
    return total / count


@dataclass(frozen=True)
class Interval:
    """A mean with its confidence interval, from `n` independent runs."""

    mean: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.mean:.1f} [{self.low:.1f}, {self.high:.1f}]"


def interval(values: Sequence[float], level: float = 0.95) -> Interval:
    """Return the mean of independent runs and its confidence interval by Student's t distribution.

    For a comparison, pass the *differences* of runs that share a seed: the effect that
    the seed has on both cancels, and an interval that excludes 0 says that they differ.

    Source: Student, The Probable Error of a Mean (1908).
    """
    from scipy import special  # here, because it takes long to import

    numbers = np.asarray(values, dtype=np.float64)
    if numbers.ndim != 1 or len(numbers) < 2:
        raise InputError(f"an interval needs at least 2 runs; found {numbers.size}.")
    if not np.isfinite(numbers).all():
        raise InputError(f"an interval needs finite values; found {numbers.tolist()}.")
    mean = numbers.mean()
    standard_error = numbers.std(ddof=1) / np.sqrt(len(numbers))
    half = special.stdtrit(len(numbers) - 1, (1 + level) / 2) * standard_error
    return Interval(float(mean), float(mean - half), float(mean + half), len(numbers))
