"""Batches of any data set, on one device and in a reproducible order."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from transferlab.data.dataset import FreshDataset, MemoryDataset, as_float, class_names
from transferlab.data.workers import check_dataset, load_samples
from transferlab.device import cpu_quota
from transferlab.errors import InputError

CHUNK_BYTES = 4 * 2**20  # of a shuffled epoch, copied at once; few enough to stay in the cache


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
        check_dataset(dataset)
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
        loaded = load_samples(
            self.dataset,
            self.workers,
            batch_sampler=[rows for rows in positions if rows],
            # The loader seeds its workers from a copy: it must not move the generator any further.
            generator=_copy(self.generator),
            pin_memory=pin,
        )
        for x, y in loaded:
            x, y = x.to(self.device, non_blocking=pin), y.to(self.device, non_blocking=pin)
            yield as_float(x), y
        if not positions[-1]:
            yield as_float(x[:0]), y[:0]


def batches(dataset: Dataset, batch_size: int, **options: Any) -> Batches:
    """Return the batches of a data set; the options are those of `Batches`."""
    return Batches(dataset, batch_size, **options)


def _copy(generator: torch.Generator | None) -> torch.Generator:
    copy = torch.Generator()
    copy.set_state(torch.get_rng_state() if generator is None else generator.get_state())
    return copy


def in_memory(dataset: Dataset, workers: int | None = None) -> MemoryDataset:
    """Read a data set once and keep it as tensors, to decode images once, not in every epoch."""
    if isinstance(dataset, MemoryDataset):
        return dataset
    if isinstance(dataset, FreshDataset):
        raise InputError(f"{dataset.name} are drawn anew for every batch and cannot be kept.")
    check_dataset(dataset)
    workers = int(cpu_quota()) if workers is None else workers
    parts = zip(*load_samples(dataset, workers, batch_size=64), strict=True)
    x, y = (torch.cat(part) for part in parts)
    return MemoryDataset(x, y, class_names(dataset, y), getattr(dataset, "name", "data"))
