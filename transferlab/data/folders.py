"""Your own data: a folder of images, or a CSV file."""

import csv
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms.functional import pil_to_tensor

from transferlab.data.dataset import MemoryDataset
from transferlab.errors import InputError

MOST_CLASSES = 100_000  # a larger label is a price or an id, not the number of a class
IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm")


class ImageFolder(Dataset):
    """Images sorted into one folder per class, read when asked for.

    ::

        photos/ants/1.jpg
        photos/ants/2.jpg
        photos/bees/1.jpg

    Every file is opened once at the start (its header only), so that a broken one is named now
    and not after an hour of training. Files that are not images are left out, with a warning
    that names them; hidden files are left out silently.

    Args:
        folder: the folder that holds one folder per class.
        transform: what turns a picture into a tensor, usually `backbone.transform`. Without one,
            the picture becomes uint8 of shape (3, height, width).
    """

    def __init__(self, folder: str | Path, transform: Callable[[Any], Tensor] | None = None):
        folder = Path(folder)
        if not folder.is_dir():
            raise InputError(f"{folder} is not a folder; expected one folder per class inside it.")
        self.classes = sorted(
            p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".")
        )
        if not self.classes:
            raise InputError(f"{folder} holds no folders; expected one folder of images per class.")
        self.files: list[Path] = []
        self.targets: list[int] = []
        left_out = []
        for label, name in enumerate(self.classes):
            files = sorted(
                p for p in (folder / name).iterdir() if p.is_file() and not p.name.startswith(".")
            )
            images = [file for file in files if file.suffix.lower() in IMAGE_ENDINGS]
            left_out += [file for file in files if file.suffix.lower() not in IMAGE_ENDINGS]
            if not images:
                raise InputError(
                    f"{folder / name} holds no images; expected files ending in "
                    f"{', '.join(IMAGE_ENDINGS)}."
                )
            self.files += images
            self.targets += [label] * len(images)
        for file in self.files:
            _open_image(file).close()
        if left_out:
            names = ", ".join(str(file.relative_to(folder)) for file in left_out[:3])
            more = f" and {len(left_out) - 3} more" if len(left_out) > 3 else ""
            warnings.warn(f"{folder}: left out, not images: {names}{more}.", stacklevel=2)
        self.name, self.transform = folder.name, transform

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        file = self.files[index]
        with _open_image(file) as image:
            try:
                picture = image.convert("RGB")
            except Exception as error:  # Pillow has a dozen kinds of exceptions for damaged files
                raise InputError(f"{file} is a damaged image: {error}.") from error
        x = pil_to_tensor(picture) if self.transform is None else self.transform(picture)
        return x, self.targets[index]

    def __repr__(self) -> str:
        return f"{self.name}: {len(self):,} images in files, {len(self.classes)} classes"


def _open_image(file: Path) -> Image.Image:
    try:
        return Image.open(file)
    except (FileNotFoundError, PermissionError):
        raise
    except Exception as error:
        raise InputError(
            f"{file} is damaged or not an image, although its name says so; remove or replace it."
        ) from error


def image_folder(
    folder: str | Path, transform: Callable[[Any], Tensor] | None = None
) -> ImageFolder:
    """Return the images below `folder`, one folder per class; see `ImageFolder`."""
    return ImageFolder(folder, transform)


def csv_file(
    path: str | Path, label: str = "label", classes: list[str] | None = None
) -> MemoryDataset:
    """Read a CSV file with a header line: one column of integer labels, the others numbers.

    Args:
        path: the file.
        label: the name of the column that holds the labels.
        classes: the name of each label; by default the numbers 0 to the largest one found.

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
        table = None  # which cell it was is found below
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
