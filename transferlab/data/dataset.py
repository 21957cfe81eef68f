"""The data set that fits in memory, and the calls that work on it and on any torch Dataset."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
import torchvision
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset

from transferlab.device import cpu_quota
from transferlab.errors import InputError

Batch = tuple[Tensor, Tensor]  # inputs, shape (n, ...), and labels, shape (n,)
CHUNK_BYTES = 4 * 2**20  # of a shuffled epoch, copied at once; few enough to stay in the cache


class MemoryDataset(Dataset):
    """Inputs and labels as two tensors, moved to a device once and cut into batches by index.

    Args:
        x: inputs, shape (N, ...). Floating point, or uint8 pixels in 0..255, which `batches`
            turns into floats in 0..1.
        y: integer labels, shape (N,), each in 0..len(classes)-1.
        classes: the name of each label.
        name: what the data set is called in messages and figures.
    """

    def __init__(self, x: Tensor, y: Tensor, classes: Sequence[str], name: str = "data") -> None:
        x, y = torch.as_tensor(x), torch.as_tensor(y)
        _check_labels(y, len(x), classes, name)
        _check_finite(x, name)
        self.x, self.y, self.classes, self.name = x, y.long(), list(classes), name

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
        return _unchecked(x, y, self.classes, self.name)  # the checks of __init__ hold already


def from_disk(x: Tensor, y: Tensor, classes: Sequence[str], name: str) -> MemoryDataset:
    """Return a MemoryDataset whose inputs lie on the disk; they are not read to be checked."""
    _check_labels(y, len(x), classes, name)
    return _unchecked(x, y, classes, name)


def _unchecked(x: Tensor, y: Tensor, classes: Sequence[str], name: str) -> MemoryDataset:
    data = object.__new__(MemoryDataset)
    data.x, data.y, data.classes, data.name = x, y, list(classes), name
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


def split(dataset: Dataset, fractions: Sequence[float], seed: int = 0) -> list[Dataset]:
    """Cut a data set into disjoint random parts, with the same mix of classes in each.

    >>> train, validation, test = split(digits(), (0.4, 0.1, 0.5), seed=0)

    Args:
        fractions: the share of each part; together at most 1.
    """
    if not fractions or min(fractions) <= 0 or sum(fractions) > 1 + 1e-9:
        raise InputError(
            f"fractions={tuple(fractions)} is impossible; "
            "expected positive numbers that add up to at most 1."
        )
    parts: list[list[Tensor]] = [[] for _ in fractions]
    edges = np.cumsum([0.0, *fractions])
    for members in _shuffled_by_class(dataset, seed).values():
        cuts = np.round(edges * len(members)).astype(int)
        for part, start, stop in zip(parts, cuts[:-1], cuts[1:], strict=True):
            part.append(members[start:stop])
    for fraction, part in zip(fractions, parts, strict=True):
        if not sum(map(len, part)):
            raise InputError(
                f"fractions={tuple(fractions)}: the part of {fraction:g} gets no sample; "
                "expected more samples per class or a larger share."
            )
    return [subset(dataset, torch.cat(part).sort().values) for part in parts]


def _shuffled_by_class(dataset: Dataset, seed: int) -> dict[int, Tensor]:
    """Return the positions of each class's samples, in random order."""
    generator = torch.Generator().manual_seed(seed)
    y = labels(dataset)
    positions = {}
    for label in y.unique().tolist():
        members = (y == label).nonzero().flatten()
        positions[label] = members[torch.randperm(len(members), generator=generator)]
    return positions


def few_shot(dataset: Dataset, per_class: int, seed: int = 0) -> Dataset:
    """Draw `per_class` random samples of every class.

    One seed gives nested draws: the samples for 2 per class contain the samples for 1 per class.
    """
    if per_class < 1:
        raise InputError(f"per_class={per_class}: expected at least 1 sample per class.")
    chosen = []
    for label, members in _shuffled_by_class(dataset, seed).items():
        if len(members) < per_class:
            raise InputError(
                f"{getattr(dataset, 'name', 'data')}: class {label} has {len(members)} samples; "
                f"per_class={per_class} asks for more."
            )
        chosen.append(members[:per_class])
    return subset(dataset, torch.cat(chosen).sort().values)


class Batches:
    """An iterable of batches (x, y) on one device; iterate again for the next epoch.

    Args:
        share: (k, n) yields only every n-th row of each batch, from row k on: the share of process
            k of n. Together the processes see each sample once. The share of a small last batch
            may be empty.
    """

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int,
        *,
        shuffle: bool = False,
        generator: torch.Generator | None = None,
        device: torch.device | str = "cpu",
        workers: int | None = None,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        if batch_size < 1:
            raise InputError(f"batch_size={batch_size}: expected at least 1.")
        if len(dataset) == 0:
            raise InputError("the data set is empty; expected at least one sample.")
        self.rank, self.processes = share
        if self.processes > min(batch_size, len(dataset)):
            raise InputError(
                f"{len(dataset)} samples in batches of {batch_size} are too few for "
                f"{self.processes} processes; expected at least one for each."
            )
        self.batch_size, self.shuffle, self.generator = batch_size, shuffle, generator
        self.device = torch.device(device)
        if isinstance(dataset, MemoryDataset):
            self.dataset: Dataset = dataset.to(self.device)
        else:
            self.dataset = dataset
            if isinstance(dataset, FreshDataset) and generator is None:
                self.generator = torch.Generator().manual_seed(0)
            # One core is left for the training step; a container's quota counts, not its host's.
            cores = int(cpu_quota()) // self.processes
            self.workers = max(0, cores - 1) if workers is None else workers

    def __len__(self) -> int:
        return -(-len(self.dataset) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        if isinstance(self.dataset, MemoryDataset):
            return self._from_memory(self.dataset)
        if isinstance(self.dataset, FreshDataset):
            return self._drawn(self.dataset)
        return self._from_loader()

    def _drawn(self, data: FreshDataset) -> Iterator[tuple[Tensor, Tensor]]:
        rows = slice(self.rank, None, self.processes)  # every process draws the whole batch
        for start in range(0, len(data), self.batch_size):
            x, y = data.draw(min(self.batch_size, len(data) - start), self.generator)
            yield x[rows].to(self.device), y[rows].to(self.device)

    def _positions(self) -> list[Tensor]:
        """Return the positions in the data set of each batch's rows."""
        n = len(self.dataset)
        # The generator lives on the CPU, so that one seed means one order on every device.
        order = torch.randperm(n, generator=self.generator) if self.shuffle else torch.arange(n)
        return [rows[self.rank :: self.processes] for rows in order.split(self.batch_size)]

    def _from_memory(self, data: MemoryDataset) -> Iterator[tuple[Tensor, Tensor]]:
        positions = self._positions()
        sample_bytes = max(1, data.x[0].numel() * data.x.element_size())
        # One gather serves many batches, which are views of it: faster than one gather per batch.
        chunk = max(1, CHUNK_BYTES // (sample_bytes * self.batch_size))
        for first in range(0, len(positions), chunk):
            sizes = [len(rows) for rows in positions[first : first + chunk]]
            rows: Any = torch.cat(positions[first : first + chunk]).to(self.device)
            if not self.shuffle and self.processes == 1:
                rows = slice(int(rows[0]), int(rows[-1]) + 1)  # no copy at all
            for x, y in zip(data.x[rows].split(sizes), data.y[rows].split(sizes), strict=True):
                yield as_float(x), y

    def _from_loader(self) -> Iterator[tuple[Tensor, Tensor]]:
        pin = self.device.type == "cuda"
        positions = [rows.tolist() for rows in self._positions()]
        loader = DataLoader(
            self.dataset,
            batch_sampler=[rows for rows in positions if rows],
            # The loader seeds its workers from a copy: it must not move the generator any further.
            generator=_copy(self.generator),
            num_workers=self.workers,
            collate_fn=_collate,
            pin_memory=pin,
        )
        for x, y in _sentences(loader):
            x, y = x.to(self.device, non_blocking=pin), y.to(self.device, non_blocking=pin)
            yield as_float(x), y
        if not positions[-1]:
            yield as_float(x[:0]), y[:0]


def batches(dataset: Dataset, batch_size: int, **options: Any) -> Batches:
    """Return the batches of a data set; the options are those of `Batches`."""
    return Batches(dataset, batch_size, **options)


def as_float(x: Tensor) -> Tensor:
    """Turn uint8 pixels in 0..255 into floats in 0..1; leave everything else as it is."""
    return x.float().div_(255) if x.dtype == torch.uint8 else x


def _copy(generator: torch.Generator | None) -> torch.Generator:
    copy = torch.Generator()
    copy.set_state(torch.get_rng_state() if generator is None else generator.get_state())
    return copy


def _sentences(loader: DataLoader) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield a loader's batches; reduce a worker's error to its sentence, without the traceback."""
    try:
        yield from loader
        return
    except InputError as error:
        sentence = str(error).strip().rpartition("InputError: ")[2]
        error.__traceback__ = None  # it keeps the workers, which should end now
    raise InputError(sentence)


def _collate(samples: list[tuple[Any, int]]) -> tuple[Tensor, Tensor]:
    inputs = [torch.as_tensor(x) for x, _ in samples]
    other = next((x for x in inputs if x.shape != inputs[0].shape), None)
    if other is not None:
        raise InputError(
            f"images of different sizes cannot share a batch: found {tuple(inputs[0].shape)} and "
            f"{tuple(other.shape)}; give the data set transform=backbone.transform."
        )
    return torch.stack(inputs), torch.tensor([int(y) for _, y in samples])


def in_memory(dataset: Dataset, workers: int | None = None) -> MemoryDataset:
    """Read a data set once and keep it as tensors, to decode images once, not in every epoch."""
    if isinstance(dataset, MemoryDataset):
        return dataset
    if isinstance(dataset, FreshDataset):
        raise InputError(f"{dataset.name} are drawn anew for every batch and cannot be kept.")
    loader = DataLoader(
        dataset,
        batch_size=64,
        num_workers=int(cpu_quota()) if workers is None else workers,
        collate_fn=_collate,
    )
    x, y = (torch.cat(part) for part in zip(*_sentences(loader), strict=True))
    return MemoryDataset(x, y, class_names(dataset, y), getattr(dataset, "name", "data"))


def class_names(dataset: Dataset, y: Tensor) -> list[str]:
    """Return the names of the classes, or their numbers when the data set has no names."""
    names = getattr(dataset, "classes", None) or range(int(y.max()) + 1)
    return [str(name) for name in names]


def resize(dataset: MemoryDataset, size: int) -> MemoryDataset:
    """Return the same images with size×size pixels, as uint8 or float as they were."""
    parts = [
        torchvision.transforms.functional.resize(part, [size, size], antialias=True)
        for part in dataset.x.split(1024)
    ]
    return MemoryDataset(torch.cat(parts), dataset.y, dataset.classes, dataset.name)
