"""The data set that fits in memory, and the calls that work on it and on any torch Dataset."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Subset, TensorDataset

from transferlab.errors import InputError

Batch = tuple[Tensor, Tensor]  # inputs, shape (n, ...), and labels, shape (n,)


class MemoryDataset(Dataset):
    """Inputs and labels as two tensors, moved to a device once and cut into batches by index.

    Args:
        x: inputs, shape (N, ...). Floating point, or uint8 pixels in 0..255, which `batches`
            turns into floats in 0..1.
        y: integer labels, shape (N,), each in 0..len(classes)-1.
        classes: the name of each label.
        name: what the data set is called in messages and figures.
        columns: of a table, the name of each column of `x`.
    """

    def __init__(
        self,
        x: Tensor,
        y: Tensor,
        classes: Sequence[str],
        name: str = "data",
        columns: Sequence[str] | None = None,
    ) -> None:
        x, y = _as_tensor(x, "x", name), _as_tensor(y, "y", name)
        if x.ndim == 0:
            raise InputError(f"{name}: x is a single number; expected one row per sample.")
        _check_labels(y, len(x), classes, name)
        _check_finite(x, name)
        self.x, self.y, self.classes, self.name = x, y.long(), list(classes), name
        self.columns = None if columns is None else list(columns)

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.x[index], self.y[index]

    def __repr__(self) -> str:
        shape = "×".join(str(n) for n in self.x.shape[1:])
        return f"{self.name}: {len(self):,} samples of {shape}, {len(self.classes)} classes"

    def to(self, device: torch.device | str) -> "MemoryDataset":
        """Return the same data on another device (itself if it is there already)."""
        if self.x.device == torch.device(device):
            return self
        return self._with(self.x.to(device), self.y.to(device))

    def subset(self, index: Tensor) -> "MemoryDataset":
        """Return the samples at `index`, a 1-D tensor of integers."""
        return self._with(self.x[index], self.y[index])

    def _with(self, x: Tensor, y: Tensor) -> "MemoryDataset":
        # The checks of __init__ hold already.
        return _unchecked(x, y, self.classes, self.name, self.columns)


def _as_tensor(values: Any, what: str, name: str) -> Tensor:
    if isinstance(values, Tensor):
        return values
    try:
        array = np.ascontiguousarray(values)
        return torch.as_tensor(array.astype(array.dtype.newbyteorder("="), copy=False))
    except (TypeError, ValueError):  # texts, or rows of different lengths
        array = np.asarray(values, dtype=object).ravel()
        found = f"values such as {array[0]!r}" if array.size else "nothing"
    advice = "; number the classes from 0 and give their names as classes=" if what == "y" else ""
    raise InputError(f"{name}: {what} holds {found}; expected an array of numbers{advice}.")


def from_disk(x: Tensor, y: Tensor, classes: Sequence[str], name: str) -> MemoryDataset:
    """Return a MemoryDataset whose inputs lie on the disk; they are not read to be checked."""
    _check_labels(y, len(x), classes, name)
    return _unchecked(x, y, classes, name)


def _unchecked(
    x: Tensor,
    y: Tensor,
    classes: Sequence[str],
    name: str,
    columns: Sequence[str] | None = None,
) -> MemoryDataset:
    data = object.__new__(MemoryDataset)
    data.x, data.y, data.classes, data.name, data.columns = x, y, list(classes), name, columns
    return data


def _check_labels(y: Tensor, samples: int, classes: Sequence[str], name: str) -> None:
    if samples == 0:
        raise InputError(f"{name}: the data set is empty; expected at least one sample.")
    if y.shape != (samples,):
        raise InputError(
            f"{name}: expected one label per sample, shape ({samples},); "
            f"found labels of shape {tuple(y.shape)}."
        )
    if y.is_floating_point():
        raise InputError(f"{name}: labels must be integers; found {y.dtype}.")
    low, high = int(y.min()), int(y.max())
    if low < 0 or high >= len(classes):
        wrong = low if low < 0 else high
        raise InputError(
            f"{name}: label {wrong} at sample {int((y == wrong).nonzero()[0])} is out of "
            f"range; expected 0 to {len(classes) - 1} for {len(classes)} classes."
        )


def _check_finite(x: Tensor, name: str) -> None:
    if x.is_floating_point() and not torch.isfinite(x.sum()):
        bad = (~torch.isfinite(x)).reshape(len(x), -1).any(1).nonzero().flatten()
        if len(bad):  # a sum can overflow although every number is finite
            raise InputError(
                f"{name}: sample {int(bad[0])} holds NaN or infinite values; "
                "expected finite numbers."
            )


class FreshDataset(Dataset):
    """Generated data that never repeats: every batch is drawn anew.

    Args:
        draw: `draw(n, generator)` returns n new inputs and their labels.
        samples: how many samples count as one epoch.
        classes: the name of each label.
        name: what the data set is called in messages.
    """

    def __init__(
        self,
        draw: Callable[[int, torch.Generator], tuple[Tensor, Tensor]],
        samples: int,
        classes: Sequence[str],
        name: str,
    ) -> None:
        if samples < 1:
            raise InputError(f"{name}: samples={samples}; expected at least 1.")
        self.draw, self.samples, self.classes, self.name = draw, samples, list(classes), name

    def __len__(self) -> int:
        return self.samples

    def __repr__(self) -> str:
        return f"{self.name}: {self.samples:,} fresh samples an epoch, {len(self.classes)} classes"


def unlabelled(x: Tensor, name: str = "unlabelled data") -> MemoryDataset:
    """Return a data set of inputs alone, for objectives without labels: every label is 0."""
    return MemoryDataset(x, torch.zeros(len(x), dtype=torch.int64), ["unlabelled"], name)


def labels(dataset: Dataset) -> Tensor:
    """Return the labels of a data set without reading its inputs, shape (N,)."""
    if isinstance(dataset, MemoryDataset):
        return dataset.y.cpu()
    if isinstance(dataset, Subset):
        return labels(dataset.dataset)[torch.as_tensor(dataset.indices)]
    if isinstance(dataset, TensorDataset) and len(dataset.tensors) == 2:
        return dataset.tensors[1].cpu()
    for attribute in ("targets", "labels", "_labels"):  # torchvision's data sets use all three
        if hasattr(dataset, attribute):
            return torch.as_tensor(getattr(dataset, attribute))
    raise InputError(
        f"found no labels in {type(dataset).__name__}; "
        "expected a data set with an attribute `targets`."
    )


def subset(dataset: Dataset, index: Tensor) -> Dataset:
    """Return the samples at `index`, as a data set of the same kind."""
    if isinstance(dataset, MemoryDataset):
        return dataset.subset(index.to(dataset.y.device))
    part = Subset(dataset, index.tolist())
    for attribute in ("classes", "name"):
        if hasattr(dataset, attribute):
            setattr(part, attribute, getattr(dataset, attribute))
    return part


def as_float(x: Tensor) -> Tensor:
    """Turn uint8 pixels in 0..255 into floats in 0..1; leave everything else as it is."""
    return x.float().div_(255) if x.dtype == torch.uint8 else x


def names_of(dataset: Any, what: str) -> list[str]:
    """Return the names of a data set's `classes` or `columns`; [] when it has none."""
    while isinstance(dataset, Subset) and not hasattr(dataset, what):
        dataset = dataset.dataset
    return [str(name) for name in getattr(dataset, what, None) or []]


def class_names(dataset: Dataset, y: Tensor) -> list[str]:
    """Return the names of the classes, or their numbers when the data set has no names."""
    return names_of(dataset, "classes") or [str(i) for i in range(int(y.max()) + 1)]


def resize(dataset: MemoryDataset, size: int) -> MemoryDataset:
    """Return the same images with size×size pixels, as uint8 or float as they were."""
    from torchvision.transforms import functional as V  # here: it takes as long as torch

    parts = [V.resize(part, [size, size], antialias=True) for part in dataset.x.split(1024)]
    return MemoryDataset(torch.cat(parts), dataset.y, dataset.classes, dataset.name)
