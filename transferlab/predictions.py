"""What a trained model says about new photos, tables and data sets, with their names."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from transferlab.checks import check_same_names
from transferlab.data import ImageFiles, MemoryDataset
from transferlab.data.folders import warn_of
from transferlab.data.images import list_images
from transferlab.errors import InputError
from transferlab.files import html_table, text_table, written_whole
from transferlab.metrics import class_scores

SHOWN = 20  # rows of a table on the screen


@dataclass(frozen=True)
class Predictions:
    """The result of `predict`.

    Attributes:
        inputs: what each row is about: a file, or the number of a sample; N texts.
        classes: the name of each class.
        probabilities: of every class, shape (N, classes).
    """

    inputs: list[str]
    classes: list[str]
    probabilities: Tensor

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def labels(self) -> list[str]:
        """The most probable class of each input."""
        return [self.classes[i] for i in self.probabilities.argmax(1)]

    def rows(self) -> list[list[str]]:
        """Return the table as texts, the header first."""
        numbers = [[f"{p:.3f}" for p in row] for row in self.probabilities.tolist()]
        body = zip(self.inputs, self.labels, numbers, strict=True)
        return [["input", "class", *self.classes], *([a, b, *c] for a, b, c in body)]

    def __str__(self) -> str:
        return text_table(self._shown(), numbers=True)

    def _repr_html_(self) -> str:
        return html_table(self._shown(), numbers=True)

    def _shown(self) -> list[list[str]]:
        rows, more = self.rows(), len(self) - SHOWN
        rest = [[f"… and {more:,} more", *[""] * (len(rows[0]) - 1)]] if more > 0 else []
        return rows[: SHOWN + 1] + rest

    def write_csv(self, path: str | Path) -> None:
        """Write the whole table."""
        with written_whole(path) as unfinished, unfinished.open("w", newline="") as file:
            csv.writer(file).writerows(self.rows())


def predict(
    model: nn.Module, inputs: Any, *, batch_size: int = 128, device: str = "auto"
) -> Predictions:
    """Return the probability of every class for new inputs, in the order given.

    >>> print(predict(model, "new_photos"))
    >>> print(predict(model, ["a.jpg", "b.jpg"]))
    >>> print(predict(model, pandas.read_csv("new_rows.csv")))

    Args:
        model: a classifier of this package; it knows its classes, its columns and how to prepare a
            photo from its training or from the file of its weights.
        inputs: a folder of images (with folders inside), image files, a table as a dictionary or
            pandas frame (columns are found by their names), or a data set.
    """
    names, dataset = _as_dataset(model, inputs)
    scores, _ = class_scores(model, dataset, batch_size=batch_size, device=device)
    if scores.ndim != 2:
        raise InputError(
            f"the model returns scores of shape {tuple(scores.shape)}; expected (N, classes)."
        )
    classes = getattr(model, "classes", None) or [str(i) for i in range(scores.shape[1])]
    return Predictions(names, classes, scores.float().softmax(1).cpu())


def _as_dataset(model: nn.Module, inputs: Any) -> tuple[list[str], Dataset]:
    """Return the name of each input, and all of them as a data set."""
    if isinstance(inputs, str | Path):
        return _images(model, _files(Path(inputs).expanduser()))
    if isinstance(inputs, Mapping) or (hasattr(inputs, "columns") and hasattr(inputs, "to_numpy")):
        table = _table(model, inputs)
        return [str(i) for i in range(len(table))], table
    if isinstance(inputs, Sequence) and inputs and all(isinstance(i, str | Path) for i in inputs):
        return _images(model, [Path(file).expanduser() for file in inputs])
    if isinstance(inputs, Dataset):
        check_same_names(model, inputs)
        files = getattr(inputs, "files", range(len(inputs)))
        return [str(name) for name in files], inputs
    raise InputError(
        f"found a {type(inputs).__name__}; expected a folder, image files, a table or a data set."
    )


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    images, others = list_images(path)
    if not images:
        raise InputError(f"{path} holds no images.")
    if others:
        warn_of([other.relative_to(path) for other in others], f"{path}: left out, not images")
    return images


def _images(model: nn.Module, files: list[Path]) -> tuple[list[str], Dataset]:
    transform = getattr(model, "transform", None)
    if transform is None:
        raise InputError(
            f"{files[0]}: this model has no transform for pictures; expected a table or a data "
            "set, or a model such as load_backbone returns it."
        )
    return [str(file) for file in files], ImageFiles(files, [0] * len(files), ["new"], transform)


def _table(model: nn.Module, frame: Any) -> MemoryDataset:
    """Return the columns that the model was trained on, in its order."""
    columns = getattr(model, "columns", None)
    if columns is None:
        raise InputError(
            "the model does not know the names of its columns; expected one trained on csv_file, "
            "or a data set in place of the table."
        )
    found = [str(column) for column in (frame if isinstance(frame, Mapping) else frame.columns)]
    if missing := [column for column in columns if column not in found]:
        raise InputError(f"the table has no column {missing[0]!r}; it has {', '.join(found)}.")
    try:
        x = np.stack([np.asarray(frame[column], dtype=np.float32) for column in columns], axis=1)
    except (TypeError, ValueError) as error:
        raise InputError(f"the table holds what is no number: {error}.") from error
    return MemoryDataset(torch.from_numpy(x), torch.zeros(len(x), dtype=torch.int64), ["new"])
