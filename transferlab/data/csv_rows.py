"""Rows of a CSV file, whoever wrote it, and one sentence for each fault in it.

`csv_file` reads numbers with numpy, which is fast. Where numpy gives up, `read_slowly` finds the
cell at fault, or reads what numpy cannot. Readers of texts and of images use the same rows.
"""

import csv
import difflib
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from transferlab.errors import InputError

SEPARATORS = ",;\t|"
MISSING = {"", "nan", "na", "n/a", "null", "?"}
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
GROUPS = re.compile(r"[+-]?[1-9]\d{0,2}([,'_. ]\d{3})+", re.ASCII)  # 1,000: is it 1 or 1000?
LARGEST = float(np.finfo(np.float32).max)
MOST_CLASSES = 100_000  # a larger label is a price or an id, not the number of a class


@dataclass(frozen=True)
class Table:
    """A CSV file whose header has been read.

    Attributes:
        skipped: lines up to the end of the header; a quoted name may fill several.
    """

    path: Path
    encoding: str
    separator: str
    header: list[str]
    skipped: int

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Yield every row below the header: the number of its last line, and its cells."""
        for line, cells in _cells(self.path, self.encoding, self.separator, strict=True):
            if line > self.skipped and len(cells) != len(self.header):
                raise InputError(
                    f"{self.path}, row {line}: found {len(cells)} values; "
                    f"expected {len(self.header)}, as in the header."
                )
            if line > self.skipped:
                yield line, cells

    def fault(self, line: int, column: str, cell: str, expected: str) -> InputError:
        found = "missing value" if cell.lower() in MISSING else "found"
        shown = cell if len(cell) <= 40 else f"{cell[:40]}…"
        where = f"{self.path}, row {line}, column {column!r}"
        return InputError(f"{where}: {found} {shown!r}; expected {expected}.")


def open_table(path: str | Path, **needed: str) -> Table:
    """Read the header; the separator is the one with which it has the `needed` columns.

    Args:
        needed: the name of each needed column, by the argument that names it: label="kind".
    """
    path = Path(path).expanduser()
    if not path.is_file():
        fault = "is a folder" if path.is_dir() else "does not exist"
        raise InputError(f"{path} {fault}; expected a CSV file with a header line.")
    try:
        with path.open("rb") as file:
            start = file.read(1000)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    is_utf16 = start[:2] in (b"\xff\xfe", b"\xfe\xff")  # Excel's "Unicode text"
    if (b"\0" in start and not is_utf16) or start.startswith((b"PK", b"\x1f\x8b")):
        raise InputError(
            f"{path} is no text but a compressed file, an Excel file or the like, whatever its "
            "name says; expected a CSV file: unpack it, or save it as 'CSV UTF-8'."
        )
    wanted, encoding = set(needed.values()), "utf-16" if is_utf16 else "utf-8-sig"
    found = {s: next(_cells(path, encoding, s, strict=False), (0, [])) for s in SEPARATORS}
    fitting = [s for s, (_, names) in found.items() if names[1:] and wanted <= set(names)]
    if len(fitting) > 1:
        raise InputError(
            f"{path}: the header can be separated by {' or '.join(map(repr, fitting))}; "
            "expected one separator."
        )
    separator = fitting[0] if fitting else max(found, key=lambda s: len(found[s][1]))
    line, header = found[separator]
    if not header:
        raise InputError(f"{path} is empty; expected a header line, then one row per sample.")
    for argument, name in needed.items():
        if name not in header and all(map(NUMBER.fullmatch, header)):
            raise InputError(
                f"{path}: the first row holds numbers only; expected a header line, the names of "
                f"the columns, with {name!r} among them."
            )
        if name not in header:
            raise InputError(
                f"{path} has no column {name!r}; its columns are {listed(header)}"
                f"{nearest(name, header)}. Name the column of {argument}s with {argument}=."
            )
        if header.count(name) > 1:
            raise InputError(f"{path} has {header.count(name)} columns {name!r}; expected one.")
    return Table(path, encoding, separator, header, line)


def _cells(
    path: Path, encoding: str, separator: str, strict: bool
) -> Iterator[tuple[int, list[str]]]:
    """Yield the last line and the cells of every row that is not blank, the header too.

    Args:
        strict: refuse a quotation mark too many, or the rest of the file would be one cell.
    """
    reader = None
    try:
        with path.open(newline="", encoding=encoding) as file:
            reader = csv.reader(file, delimiter=separator, skipinitialspace=True, strict=strict)
            for row in reader:
                cells = [cell.strip() for cell in row]
                if len(cells) > 1 or any(cells):
                    yield reader.line_num, cells
    except UnicodeError as error:
        raise InputError(
            f"{path} is not UTF-8 text; expected a CSV file in UTF-8: save it as 'CSV UTF-8'."
        ) from error
    except csv.Error as error:
        raise InputError(
            f"{path}, row {reader.line_num}: {error}; expected cells below "
            "131,072 characters, with quotation marks at both ends or none."
        ) from error


def read_slowly(table: Table, columns: Sequence[str], label: str, number: Callable) -> np.ndarray:
    """Read what numpy could not, cell by cell, or name the first cell at fault.

    Returns:
        shape (rows, columns of the file), with 0 in columns that are not asked for.
    """
    places = [(table.header.index(name), name) for name in columns]
    at = table.header.index(label)
    # A comma may be decimal, "1,5". Are there only some like "1,000", nobody knows.
    commas = (cells[i] for _, cells in table.rows() for i, _ in places if "," in cells[i])
    decimal_comma = any(
        NUMBER.fullmatch(cell.replace(",", ".")) and not GROUPS.fullmatch(cell) for cell in commas
    )
    values = []
    for line, cells in table.rows():
        row = [0.0] * len(cells)
        row[at] = number(cells[at])
        for i, name in places:
            cell = cells[i]
            if decimal_comma and "." not in cell:
                cell = cell.replace(",", ".")
            elif decimal_comma:
                raise table.fault(line, name, cell, "a decimal comma, as in other cells")
            if not NUMBER.fullmatch(cell):
                raise table.fault(line, name, cells[i], _expected(cells[i]))
            row[i] = float(cell)
            if abs(row[i]) > LARGEST:
                raise table.fault(line, name, cell, f"a number below {LARGEST:.1e}")
        values.append(np.array(row))
    if not values:
        raise InputError(
            f"{table.path} holds a header line and no rows; expected one row per sample."
        )
    return np.stack(values)


def _expected(cell: str) -> str:
    if cell.lower() in MISSING:
        return "a number: fill it in, or leave this row or this column out"
    if re.fullmatch(r"[+-]?inf(inity)?", cell.lower()):
        return "a finite number"
    if GROUPS.fullmatch(cell):
        return "a number without marks between its digits, such as 1000 or 1.5"
    if cell.endswith("%"):
        return "a number without a unit"
    return "a number"


def number_labels(
    table: Table, label: str, texts: Sequence[str], rows: int, classes: Sequence[str] | None
) -> tuple[list[int], list[str]]:
    """Return the number of each label, and the names of the classes.

    Args:
        texts: the labels that the file has, each once.
        classes: their names. By default texts in the order of the alphabet, or, if the labels are
            whole numbers, 0 to the largest one.
    """

    def fault(text: str, expected: str) -> InputError:
        at = table.header.index(label)
        line = next(line for line, cells in table.rows() if cells[at] == text)
        return table.fault(line, label, text, expected)

    names = None if classes is None else list(classes)
    if names is not None and (isinstance(classes, str) or len({*names}) < len(names) or not names):
        raise InputError(f"classes={classes!r}; expected a list of different names.")
    for text in texts:
        if text.lower() in MISSING:
            raise fault(text, "a label: fill it in, or leave this row out")
    if names is None and len(texts) == 1:
        raise InputError(
            f"{table.path}: every row has the label {texts[0]!r}; expected two classes or more. "
            "Name them with classes= if other files have the others."
        )
    if names is not None and set(texts) <= set(names):
        return [names.index(text) for text in texts], names
    numbers = [text for text in texts if NUMBER.fullmatch(text)]
    if len(numbers) == len(texts):
        for text in texts:
            if not (float(text).is_integer() and 0 <= float(text) < MOST_CLASSES):
                whole = f"a whole number from 0 to {MOST_CLASSES - 1:,}, the number of a class"
                raise fault(text, whole)
        found = [int(float(text)) for text in texts]
        absent = sorted(set(range(max(found) + 1)) - set(found))
        if names is None and absent:
            warnings.warn(f"{table.path}: no row has the label {absent[0]}.", stacklevel=3)
        return found, names or [str(i) for i in range(max(found) + 1)]
    if numbers and not set(texts) & set(names or ()):
        words = [text for text in texts if text not in numbers]
        odd = min(words, numbers, key=len)[0]
        raise fault(odd, "what the other labels are: all numbers, or all texts")
    if names is not None:
        text = next(text for text in texts if text not in names)
        raise fault(text, f"one of {listed(names)}{nearest(text, names)}")
    spelled: dict[str, str] = {}
    for text in texts:
        if spelled.setdefault(text.casefold(), text) != text:
            raise fault(text, f"one spelling; other rows have {spelled[text.casefold()]!r}")
    if len(texts) == rows >= 20:
        raise InputError(
            f"{table.path}: every row has its own label in column {label!r}; expected classes "
            "that rows share. If it is meant so, name them with classes=."
        )
    names = sorted(texts)
    return [names.index(text) for text in texts], names


def check_columns(
    path: Path, names: Sequence[str], x: np.ndarray, y: np.ndarray, chosen: bool
) -> None:
    """Refuse row numbers, copies of the label, and what float32 cannot tell apart.

    Args:
        x: shape (N, columns), float64. y: labels, shape (N,).
        chosen: the caller named the columns; then a row number is meant to be there.
    """

    def fault(i: int, found: str) -> InputError:
        others = [name for name in names if name != names[i]]
        how = f"columns={others}" if len(others) <= 6 else "columns=, the names of the others"
        return InputError(f"{path}, column {names[i]!r}: {found}. Leave it out with {how}.")

    n, low, high = len(x), x.min(0), x.max(0)
    labels, first, y = np.unique(y, return_index=True, return_inverse=True)
    if n < 5:  # too few to suspect anything
        return
    keep = "expected data (if it is some, name it in columns=)"
    for i in np.flatnonzero(high - low == n - 1) if not chosen else ():
        if np.array_equal(np.unique(x[:, i]), np.arange(low[i], high[i] + 1)):
            raise fault(i, f"it numbers the rows from {low[i]:.0f} to {high[i]:.0f}; {keep}")
    if 1 < len(labels) <= n / 2:
        of_label = x[first]  # what each column holds where a label is seen first
        for i in np.flatnonzero((of_label[y[:500]] == x[:500]).all(0)):
            is_copy = len(np.unique(of_label[:, i])) == len(labels)
            if is_copy and (of_label[y, i] == x[:, i]).all():
                raise fault(i, "it repeats the label; expected data that are known without it")
    step = np.spacing(np.maximum(-low, high).astype(np.float32))
    # In a wider range, numbers that merge are so near to each other that it does not matter.
    is_narrow = (high > low) & (high - low < 2**16 * step)
    is_huge = (high >= 2**53) & (high < 2**64)  # float64 has merged such whole numbers already
    for i in np.flatnonzero(is_narrow | is_huge):
        values = np.unique(x[:, i])
        if is_huge[i] or len(np.unique(values.astype(np.float32))) < len(values):
            raise fault(
                i,
                f"numbers such as {high[i]:.17g} become equal in float32, which keeps 7 digits; "
                "an id is no input, and from others subtract the smallest",
            )


def listed(names: Sequence[str], most: int = 6) -> str:
    shown = ", ".join(repr(name) for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def nearest(name: str, names: Sequence[str]) -> str:
    """Return "; the nearest is 'Label'" for 'label', or nothing."""
    lower = {other.lower(): other for other in names}
    found = difflib.get_close_matches(str(name).lower(), lower, 1)
    return f"; the nearest is {lower[found[0]]!r}" if found else ""
