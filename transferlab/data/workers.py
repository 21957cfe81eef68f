"""Reading a torch data set sample by sample, in worker processes; what goes wrong is said."""

import pickle
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset

from transferlab.data.dataset import Batch
from transferlab.errors import InputError


def check_dataset(dataset: Any) -> None:
    """Refuse what is no data set, and say how to make one of it."""
    if isinstance(dataset, DataLoader):
        raise InputError(
            "found a DataLoader, which makes batches; give its data set, loader.dataset: the "
            "batches are made here, with batch_size=."
        )
    if isinstance(dataset, Tensor | np.ndarray | tuple | list | dict):
        raise InputError(
            f"found a {type(dataset).__name__}; expected a data set, such as "
            "MemoryDataset(x, y, classes) or image_folder(path)."
        )
    if isinstance(dataset, IterableDataset) or not hasattr(dataset, "__len__"):
        raise InputError(
            f"a {type(dataset).__name__} has no length, so its samples cannot be shuffled; "
            "expected a data set with __len__ and __getitem__."
        )


def load_samples(dataset: Dataset, workers: int, **options: Any) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield batches of a DataLoader; reduce a worker's error to a sentence, without traceback."""
    try:
        yield from _start(dataset, workers, options)
        return
    except InputError as error:
        sentence = str(error).strip().rpartition("InputError: ")[2]
        error.__traceback__ = None  # it keeps the workers, which should end now
    except RuntimeError as error:
        if "exited unexpectedly" not in str(error):
            raise
        sentence = (
            "a worker process that reads the data has ended; in a script, put the calls below "
            'if __name__ == "__main__":, and look whether the memory is full.'
        )
    raise InputError(sentence)


def _start(dataset: Dataset, workers: int, options: dict[str, Any]) -> Iterator[Batch]:
    """Start the workers, or do without them where the data set cannot be sent to them."""
    options = {**options, "collate_fn": _collate}
    try:
        return iter(DataLoader(dataset, num_workers=workers, **options))
    except (AttributeError, TypeError, pickle.PicklingError) as error:
        if "pickle" not in str(error):
            raise
        warnings.warn(
            f"the data set is read without worker processes, which cannot get it ({error}); "
            "a named function in place of a lambda helps.",
            stacklevel=4,
        )
        return iter(DataLoader(dataset, **options))


def _collate(samples: list[tuple[Any, int]]) -> tuple[Tensor, Tensor]:
    first = samples[0]
    if not isinstance(first, tuple | list) or len(first) != 2:
        raise InputError(
            f"a sample of the data set is a {type(first).__name__}; expected (input, label)."
        )
    if isinstance(first[0], Image.Image):
        raise InputError(
            "the data set returns pictures; give it a transform that makes tensors, such as "
            "transform=backbone.transform."
        )
    inputs = [torch.as_tensor(x) for x, _ in samples]
    other = next((x for x in inputs if x.shape != inputs[0].shape), None)
    if other is not None:
        raise InputError(
            f"images of different sizes cannot share a batch: found {tuple(inputs[0].shape)} and "
            f"{tuple(other.shape)}; give the data set transform=backbone.transform."
        )
    return torch.stack(inputs), torch.tensor([int(y) for _, y in samples])
