"""Your own table: a CSV file of numbers, with a column of labels."""

import csv
import warnings
from pathlib import Path

import numpy as np
import torch

from transferlab.data.dataset import MemoryDataset
from transferlab.errors import InputError

MOST_CLASSES = 100_000  # a larger label is a price or an id, not the number of a class


def csv_file(
    path: str | Path, label: str = "label", classes: list[str] | None = None
) -> MemoryDataset:
    """Read a CSV file with a header line: one column of integer labels, the others numbers.

    Args:
        path: the file.
        label: the name of the column that holds the labels.
        classes: the name of each label; by default the numbers 0 to the largest label.

    Returns:
        x of shape (rows, columns - 1) in float32, columns in the order of the file.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path} does not exist; expected a CSV file with a header line.")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            header = next(csv.reader(file), [])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # numpy warns of a file without rows; we say more
            table = np.loadtxt(
                path,
                delimiter=",",
                skiprows=1,
                ndmin=2,
                encoding="utf-8-sig",
                comments=None,
                quotechar='"',
            )
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text; expected a CSV file in UTF-8.") from error
    except ValueError:
        table = None  # the cell at fault is named below
    if not header:
        raise InputError(f"{path} is empty; expected a header line, then one row per sample.")
    if label not in header:
        raise InputError(
            f"{path} has no column {label!r}; its columns are {_shorten(header)}. "
            "Name the column of labels with label=."
        )
    if len(header) == 1:
        raise InputError(f"{path} has no column besides {label!r}; expected at least one more.")
    if table is not None and table.size == 0:
        raise InputError(f"{path} holds a header line and no rows; expected one row per sample.")
    column = header.index(label)
    if table is None or not _is_sound(table, len(header), column):
        raise InputError(_first_fault(path, header, label) or f"{path} is no table of numbers.")
    y = table[:, column]
    x = np.delete(table, column, axis=1)
    names = classes if classes is not None else [str(i) for i in range(int(y.max()) + 1)]
    return MemoryDataset(
        torch.tensor(x, dtype=torch.float32), torch.tensor(y, dtype=torch.int64), names, path.stem
    )


def _is_sound(table: np.ndarray, columns: int, label: int) -> bool:
    if table.shape[1] != columns or not np.isfinite(table).all():
        return False
    y = table[:, label]
    return bool((y == np.round(y)).all() and y.min() >= 0 and y.max() < MOST_CLASSES)


def _first_fault(path: Path, header: list[str], label: str) -> str | None:
    """Find the first cell that cannot be used; slow, and needed only when there is one."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.reader(file)
        next(rows)
        for row in rows:
            if row and len(row) != len(header):
                return (
                    f"{path}, row {rows.line_num}: found {len(row)} values; "
                    f"expected {len(header)}, as in the header."
                )
            for name, value in zip(header, row, strict=False):  # an empty row is skipped
                if (expected := _fault(value, is_label=name == label)) is not None:
                    where = f"{path}, row {rows.line_num}, column {name!r}"
                    return f"{where}: found {value!r}; expected {expected}."
    return None


def _fault(value: str, is_label: bool) -> str | None:
    """Return what was expected instead of this cell, or None when it is sound."""
    try:
        number = float(value)
    except ValueError:
        return "a number"
    if not np.isfinite(number):
        return "a finite number"
    if is_label and not (number.is_integer() and 0 <= number < MOST_CLASSES):
        return f"a whole number from 0 to {MOST_CLASSES - 1:,}, the number of a class"
    return None


def _shorten(names: list[str], most: int = 6) -> str:
    shown = ", ".join(repr(name) for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
