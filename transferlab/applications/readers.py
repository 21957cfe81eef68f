"""Your own texts, sounds and images, from CSV files or from a folder with one folder per class."""

import math
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from transferlab.applications.text import Texts
from transferlab.data.csv_rows import listed, number_labels, open_table
from transferlab.data.dataset import MemoryDataset
from transferlab.data.folders import PARTS, ImageFiles, warn_of
from transferlab.data.images import is_ignored
from transferlab.errors import InputError

SHORTEST = 0.05  # seconds of a recording


def text_csv(
    path: str | Path,
    text: str = "text",
    label: str = "label",
    classes: Sequence[str] | None = None,
) -> Texts:
    """Read a CSV file with a column of texts and one of labels; other columns are left out.

    Args:
        path: the file, with a header line; separators and encodings as for `csv_file`.
        text: the name of the column of texts.
        label: the name of the column of labels, texts or whole numbers.
        classes: the name of each class; by default as for `csv_file`. A second file needs
            `classes=train.classes`.
    """
    texts, y, names = _read_columns(path, classes, text=text, label=label)
    return Texts(texts, y, names, Path(path).stem)


def image_table(
    path: str | Path,
    folder: str | Path | None = None,
    file: str = "file",
    label: str = "label",
    classes: Sequence[str] | None = None,
    transform: Callable[[Any], Tensor] | None = None,
) -> ImageFiles:
    """Read a CSV file that names image files and their labels.

    Args:
        path: the CSV file, with a header line; see `text_csv`.
        folder: the folder that holds the images; by default that of the CSV file.
        file: the name of the column of file names, which are relative to `folder`.
        label, classes: see `text_csv`.
        transform: see `ImageFiles`.
    """
    names, y, classes = _read_columns(path, classes, file=file, label=label)
    folder = (Path(path).parent if folder is None else Path(folder)).expanduser()
    files = [folder / name.replace("\\", "/") for name in names]  # as Windows writes them
    label_of: dict[Path, int] = {}
    for found, number in zip(files, y, strict=True):
        if not found.is_file():
            raise InputError(f"{path} names {found}, which does not exist; expected an image file.")
        if label_of.setdefault(found, number) != number:
            raise InputError(f"{path} names {found} twice with different labels; expected one.")
    return ImageFiles(files, y, classes, transform, Path(path).stem)


def _read_columns(
    path: str | Path, classes: Sequence[str] | None, label: str, **other: str
) -> tuple[list[str], list[int], list[str]]:
    """Return the cells of one column, the label of each row, and the names of the classes.

    Args:
        other: the name of the column, by the argument that names it: text="review".
    """
    ((argument, column),) = other.items()
    if column == label:
        raise InputError(f"{argument}={column!r} and label={label!r}; expected two columns.")
    table = open_table(path, label=label, **other)
    found, labels = [], []
    for line, cells in table.rows():
        row = dict(zip(table.header, cells, strict=True))
        if not row[column]:
            raise table.fault(line, column, "", f"a {argument}; fill it in, or leave this row out")
        found.append(row[column])
        labels.append(row[label])
    if not found:
        raise InputError(
            f"{path} holds a header line and no rows; expected one row per {argument}."
        )
    distinct = list(dict.fromkeys(labels))
    numbers, names = number_labels(table, label, distinct, len(labels), classes)
    number = dict(zip(distinct, numbers, strict=True))
    return found, [number[text] for text in labels], names


def text_folder(folder: str | Path, classes: Sequence[str] | None = None) -> Texts:
    """Read a folder of texts: one folder per class, with files .txt in UTF-8.

    Args:
        classes: by default the names of the folders, sorted. A second folder, which may lack one,
            needs `classes=train.classes`.
    """
    files, labels, classes = _files_by_class(folder, ".txt", classes)
    texts = []
    for file in files:
        try:
            text = file.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            raise InputError(f"{file} is not UTF-8 text; expected UTF-8.") from error
        if not text.strip():
            raise InputError(f"{file} is empty; expected a text.")
        texts.append(text)
    return Texts(texts, labels, classes, Path(folder).name)


def sound_folder(
    folder: str | Path,
    rate: int = 8000,
    seconds: float = 1.0,
    classes: Sequence[str] | None = None,
) -> MemoryDataset:
    """Read a folder of recordings: one folder per class, with files .wav.

    All become mono, at one rate, and of one length: longer ones are cut, silence follows shorter
    ones. A warning says how many had another rate, or are cut.

    Args:
        folder: the folder that holds one folder per class.
        rate: samples per second; `spectrograms` and networks of this course expect 8000.
        seconds: the length of each waveform.
        classes: see `text_folder`.

    Returns:
        x of shape (N, rate · seconds) in −1..1.
    """
    if rate < 1 or seconds < SHORTEST:
        raise InputError(
            f"rate={rate}, seconds={seconds}; expected at least 1 sample and {SHORTEST} seconds."
        )
    files, labels, classes = _files_by_class(folder, ".wav", classes)
    x = torch.zeros(len(files), round(rate * seconds))
    rates, cut = [], 0
    for row, file in zip(x, files, strict=True):
        its_rate, sound = read_wav(file)
        if its_rate != rate:
            rates.append(its_rate)
            sound = _resampled(sound, its_rate, rate)
        cut += len(sound) > len(row)
        row[: len(sound)] = sound[: len(row)]
    said = []
    if rates:
        others = " or ".join(f"{other} Hz" for other in sorted(set(rates))[:3])
        said.append(f"{len(rates)} of {len(files)} files had {others} and now have {rate} Hz")
    if cut:
        said.append(f"{cut} of {len(files)} files were longer than {seconds} s and are cut")
    if said:
        warnings.warn(f"{folder}: {'; '.join(said)}.", stacklevel=2)
    return MemoryDataset(x, torch.tensor(labels), classes, Path(folder).name)


def read_wav(file: str | Path) -> tuple[int, Tensor]:
    """Read a wav file of any rate, 8 to 32 bits or floats: its rate, and its sound, (samples,).

    Channels are averaged; the sound is in −1..1.
    """
    from scipy.io import wavfile  # takes long to import

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of chunks that are no sound
            warnings.filterwarnings("error", message="Reached EOF")
            rate, samples = wavfile.read(file)
    except Exception as error:  # scipy has many kinds of exceptions for damaged files
        raise InputError(
            f"{file} is missing, damaged, compressed or no wav file ({str(error).split('.')[0]}); "
            "expected a wav file of PCM or floats."
        ) from error
    if samples.dtype == np.uint8:
        sound = samples / 128 - 1
    elif samples.dtype.kind == "i":  # scipy moves 24 bits to the upper ones of 32
        sound = samples / -float(np.iinfo(samples.dtype).min)
    else:
        sound = samples.astype(float)
    sound = sound.mean(axis=1) if sound.ndim == 2 else sound
    if len(sound) < SHORTEST * rate:
        raise InputError(f"{file} lasts {len(sound) / rate:.3f} s; expected {SHORTEST} s or more.")
    if not 0 < np.abs(sound).max() < 2:  # floats may exceed 1 a little
        raise InputError(
            f"{file} holds silence only, or numbers that are not in −1..1; expected a sound."
        )
    return rate, torch.tensor(sound, dtype=torch.float32)


def _resampled(sound: Tensor, old: int, new: int) -> Tensor:
    """Return the sound at another rate, without what the new rate cannot hold (aliasing)."""
    from scipy.signal import resample_poly  # takes long to import

    common = math.gcd(old, new)
    found = resample_poly(sound.double().numpy(), new // common, old // common)
    return torch.tensor(found, dtype=torch.float32).clamp_(-1, 1)


def _files_by_class(
    folder: str | Path, ending: str, classes: Sequence[str] | None
) -> tuple[list[Path], list[int], list[str]]:
    """Return files, their labels, and the names of the classes, which are those of the folders."""
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; expected one folder per class inside it.")
    inside = sorted(path for path in folder.iterdir() if not is_ignored(path))
    folders = [path.name for path in inside if path.is_dir()]
    expected = sorted(folders) if classes is None else list(classes)
    is_split = {name.lower() for name in folders} <= PARTS
    if len(expected) < 2 or is_split or not set(folders) <= set(expected):
        raise InputError(
            f"{folder} holds the folders {listed(folders)}; expected one per class"
            f"{', two or more' if classes is None else f': {listed(expected)}'}."
        )
    files, labels = [], []
    left_out = [path for path in inside if path.is_file()]
    for name in folders:
        found = [path for path in sorted((folder / name).rglob("*")) if path.is_file()]
        right = [p for p in found if p.suffix.lower() == ending and not is_ignored(p)]
        if not right:
            raise InputError(
                f"{folder / name} holds no file {ending}; expected files ending in {ending}."
            )
        files += right
        labels += [expected.index(name)] * len(right)
        left_out += [path for path in found if path not in right and not is_ignored(path)]
    if left_out:
        names = [path.relative_to(folder) for path in left_out]
        warn_of(names, f"{folder}: left out, not {ending}")
    return files, labels, expected
