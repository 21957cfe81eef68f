"""Your own table: a CSV file of numbers, with a column of labels."""

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from transferlab.data.csv_rows import (
    LARGEST,
    Table,
    check_columns,
    listed,
    nearest,
    number_labels,
    open_table,
    read_slowly,
)
from transferlab.data.dataset import MemoryDataset
from transferlab.errors import InputError


def csv_file(
    path: str | Path,
    label: str = "label",
    classes: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
) -> MemoryDataset:
    """Read a CSV file with a header line: one column of labels, the others numbers.

    Cells may be separated by commas, semicolons, tabs or bars, and have a decimal comma.

    Args:
        path: the file, in UTF-8 or UTF-16.
        label: the name of the column that holds the labels, texts or whole numbers.
        classes: the name of each class. By default the labels in the order of the alphabet, or, if
            they are numbers, 0 to the largest. A second file needs `classes=train.classes`.
        columns: the columns that x has, by name; by default all others, in the order of the file.
            A second file needs `columns=train.columns`: its order may be another one.

    Returns:
        x of shape (rows, columns) in float32, with their names in `columns`.
    """
    table = open_table(path, label=label)
    names = _names(table, label, columns)
    texts: dict[str, int] = {}  # each label → how many others came before it

    def number(text: str) -> int:
        return texts.setdefault(text.strip(), len(texts))

    values = _read_fast(table, names, label, number)
    if values is None or set('"\n') & set("".join(texts)):
        texts.clear()
        values = read_slowly(table, names, label, number)
    numbers, classes = number_labels(table, label, list(texts), len(values), classes)
    y = np.array(numbers)[values[:, table.header.index(label)].astype(int)]
    x = values[:, [table.header.index(name) for name in names]]
    check_columns(table.path, names, x, y, chosen=columns is not None)
    x = torch.tensor(x, dtype=torch.float32)
    return MemoryDataset(x, torch.tensor(y), classes, table.path.stem, names)


def _names(table: Table, label: str, columns: Sequence[str] | None) -> list[str]:
    """Return the columns of x, all of which the file has once."""
    path, header = table.path, table.header
    others = [name for name in header if name != label]
    names = others if columns is None else list(columns)
    if not others:
        raise InputError(f"{path} has no column besides {label!r}; expected at least one more.")
    if isinstance(columns, str) or not names or label in names:
        raise InputError(f"columns={columns!r}; expected a list of names, without {label!r}.")
    for name in names:
        if name not in header:
            raise InputError(
                f"{path} has no column {name!r}; expected {listed(names)}, as columns= says, "
                f"found {listed(header)}{nearest(name, header)}."
            )
        if not name or (columns is None and name.startswith("Unnamed: ")):
            named = [other for other in others if other and not other.startswith("Unnamed: ")]
            raise InputError(
                f"{path}: column {header.index(name) + 1} has no name, as row numbers have none; "
                f"expected a name. Leave it out with columns=[{listed(named)}]."
            )
        if header.count(name) > 1 or names.count(name) > 1:
            raise InputError(f"{path}: column {name!r} is there twice; expected different names.")
    return names


def _read_fast(
    table: Table, names: Sequence[str], label: str, number: Callable[[str], int]
) -> np.ndarray | None:
    """Return all cells, labels numbered, or None if there is any doubt."""
    left_out = {i: lambda _: 0 for i, name in enumerate(table.header) if name not in names}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a file without rows; we say more
            values = np.loadtxt(
                table.path,
                delimiter=table.separator,
                skiprows=table.skipped,
                ndmin=2,
                encoding=table.encoding,
                comments=None,
                quotechar='"',
                converters=left_out | {table.header.index(label): number},
            )
    except ValueError:
        return None
    is_sound = values.size and values.shape[1] == len(table.header)
    return values if is_sound and values.min() >= -LARGEST and values.max() <= LARGEST else None
