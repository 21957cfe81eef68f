"""Real data sets by name: from the disk when they are there, otherwise from the network."""

import gzip
import os
import re
import wave
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
import torchvision
from torch.utils.data import Dataset

from transferlab.data.dataset import MemoryDataset
from transferlab.data.docstrings import Texts
from transferlab.data.files import image_folder
from transferlab.data.places import data_folder, torchvision_folder
from transferlab.errors import InputError

# name -> (torchvision class, the folder that it unpacks to)
TORCHVISION_SETS = {
    "mnist": ("MNIST", "MNIST/raw"),
    "fashion_mnist": ("FashionMNIST", "FashionMNIST/raw"),
    "cifar10": ("CIFAR10", "cifar-10-batches-py"),
    "cifar100": ("CIFAR100", "cifar-100-python"),
}
SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")  # of the spoken digits
FOLDERS = ("cifar10_jpg", "hymenoptera", "spoken_digits")
NAMES = (*TORCHVISION_SETS, *FOLDERS, "rt_polarity")


def load(name: str, part: str = "train", transform: Callable | None = None) -> Dataset | Texts:
    """Return one part of a real data set.

    Looked for in this order: the folder that TRANSFERLAB_DATA names, torchvision's folder, and,
    when there is a network, torchvision's download.

    Args:
        name: "mnist", "fashion_mnist", "cifar10", "cifar100" (torchvision's sets, kept in memory
            as uint8), "cifar10_jpg" (300 training photos per class) or "hymenoptera" (ants and
            bees), these two as image folders, "spoken_digits" (900 words by 6 speakers, kept in
            memory as waveforms of one second; `spectrograms` makes images of them), or
            "rt_polarity" (10,662 sentences of film reviews, negative or positive, as `Texts`).
        part: "train" or "test".
        transform: for the image folders, usually `backbone.transform`.
    """
    if name not in NAMES:
        raise InputError(f"data set {name!r} is unknown; expected one of {', '.join(NAMES)}.")
    if part not in ("train", "test"):
        raise InputError(f"part={part!r} is unknown; expected 'train' or 'test'.")
    if name == "cifar10_jpg":
        return image_folder(_folder_of(name) / part, transform)
    if name == "hymenoptera":
        return image_folder(_folder_of(name) / {"test": "val"}.get(part, part), transform)
    if name == "spoken_digits":
        # As its authors split it: each speaker's first five recordings of a digit are for testing.
        return _recordings(_folder_of(name), lambda _, i: (i < 5) == (part == "test"), part)
    if name == "rt_polarity":
        return _rt_polarity(_folder_of("text", name), part)
    packed = data_folder() and data_folder() / "mnist" / "MNIST" / "raw"
    if name == "mnist" and packed and packed.is_dir():
        return _mnist_from_gz(packed, part)
    return _from_torchvision(name, part)


def present() -> dict[str, bool]:
    """Return which real data sets lie on this machine, by name."""
    folder, root = data_folder(), torchvision_folder()
    found = {name: (root / inside).is_dir() for name, (_, inside) in TORCHVISION_SETS.items()}
    if folder is not None:
        found["mnist"] |= (folder / "mnist" / "MNIST" / "raw").is_dir()
    for name in FOLDERS:
        found[name] = folder is not None and (folder / name).is_dir()
    found["rt_polarity"] = folder is not None and (folder / "text" / "rt-polarity.pos").is_file()
    return found


def _folder_of(inside: str, name: str | None = None) -> Path:
    """Return a folder inside TRANSFERLAB_DATA; `name` is the data set's, when it is another."""
    name, folder = name or inside, data_folder()
    if folder is None or not (folder / inside).is_dir():
        where = "TRANSFERLAB_DATA is not set" if folder is None else f"{folder} has no such folder"
        raise InputError(
            f"data set {name!r} is not on this machine ({where}); "
            f"set TRANSFERLAB_DATA to a folder that holds {inside}/."
        )
    return folder / inside


def _rt_polarity(folder: Path, part: str) -> Texts:
    """Read the sentences of Pang and Lee, Seeing Stars (2005); they come without a split.

    Every fifth one of each file is for testing.
    """
    texts, labels = [], []
    for label, ending in enumerate(("neg", "pos")):
        file = folder / f"rt-polarity.{ending}"
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{file} is missing or not UTF-8; expected a text file.") from error
        chosen = [line for i, line in enumerate(lines) if (i % 5 == 0) == (part == "test")]
        texts += chosen
        labels += [label] * len(chosen)
    return Texts(texts, torch.tensor(labels), ["negative", "positive"], "rt_polarity", [])


def _mnist_from_gz(folder: Path, part: str) -> MemoryDataset:
    stem = {"train": "train", "test": "t10k"}[part]

    def read(ending: str, header: int) -> torch.Tensor:
        file = folder / f"{stem}-{ending}.gz"
        try:
            raw = gzip.decompress(file.read_bytes())
            return torch.from_numpy(np.frombuffer(raw, np.uint8, offset=header).copy())
        except (OSError, EOFError, ValueError, zlib.error) as error:
            raise InputError(f"{file} is missing or damaged; expected MNIST's own file.") from error

    x = read("images-idx3-ubyte", header=16).view(-1, 1, 28, 28)
    y = read("labels-idx1-ubyte", header=8).long()
    return MemoryDataset(x, y, [str(digit) for digit in range(10)], "mnist")


def spoken_digits(speakers: Sequence[str]) -> MemoryDataset:
    """Return every recording of these speakers, in the form of `load("spoken_digits")`.

    In the parts that `load` returns, all six speakers are in both. Whoever wants to know how well a
    network understands a stranger splits by speaker instead.

    Args:
        speakers: names, such as "george"; those of the data set are in `SPEAKERS`.
    """
    folder = _folder_of("spoken_digits")
    unknown = sorted(set(speakers) - set(SPEAKERS))
    if unknown or not speakers:
        raise InputError(
            f"spoken_digits: found speakers={list(speakers)}; "
            f"expected some of {', '.join(SPEAKERS)}."
        )
    return _recordings(folder, lambda speaker, _: speaker in speakers, ", ".join(speakers))


def _recordings(folder: Path, wanted: Callable[[str, int], bool], whose: str) -> MemoryDataset:
    """Read the Free Spoken Digit Dataset (Jackson et al., 2016, CC BY-SA 4.0).

    Args:
        wanted: says of a speaker and the number of a recording whether it is to be read.
        whose: what is looked for, in words, for the message that there is none.
    """
    sounds, digits = [], []
    for file in sorted(folder.glob("*.wav")):
        name = re.fullmatch(r"(\d)_([a-z]+)_(\d+)", file.stem)
        if name is None:
            raise InputError(f"{file}: expected a name like 7_theo_12.wav: digit, speaker, number.")
        digit, speaker, number = name.groups()
        if wanted(speaker, int(number)):
            sounds.append(_one_second(file))
            digits.append(int(digit))
    if not sounds:
        raise InputError(
            f"{folder} holds no recording for {whose}; expected files like 7_theo_12.wav."
        )
    names = [str(digit) for digit in range(10)]
    return MemoryDataset(torch.stack(sounds), torch.tensor(digits), names, "spoken_digits")


def _one_second(file: Path) -> torch.Tensor:
    """Read a recording of 8 kHz, 16 bits, one channel; cut it or add silence: (8000,) in -1..1."""
    try:
        with wave.open(str(file)) as recording:
            found = (recording.getframerate(), recording.getsampwidth(), recording.getnchannels())
            raw = recording.readframes(8000)
    except (OSError, EOFError, wave.Error) as error:
        raise InputError(f"{file} is missing or damaged; expected a wav file.") from error
    if found != (8000, 2, 1):
        raise InputError(
            f"{file} has {found[0]} Hz, {8 * found[1]} bits and {found[2]} channels; "
            "expected 8000 Hz, 16 bits and 1."
        )
    sound = torch.zeros(8000)
    samples = torch.from_numpy(np.frombuffer(raw, "<i2").astype(np.float32) / 2**15)
    sound[: len(samples)] = samples
    return sound


def _from_torchvision(name: str, part: str) -> MemoryDataset:
    class_name, inside = TORCHVISION_SETS[name]
    make = getattr(torchvision.datasets, class_name)
    root = torchvision_folder()
    try:
        source = make(root, train=part == "train")
    except RuntimeError:
        if os.environ.get("TRANSFERLAB_OFFLINE"):
            raise InputError(_missing(name, root / inside)) from None
        try:
            root.mkdir(parents=True, exist_ok=True)
            source = make(root, train=part == "train", download=True)
        except (OSError, RuntimeError) as error:
            raise InputError(_missing(name, root / inside)) from error
    x = torch.as_tensor(source.data)
    x = x[:, None] if x.ndim == 3 else x.permute(0, 3, 1, 2).contiguous()
    return MemoryDataset(x, torch.as_tensor(source.targets), source.classes, name)


def _missing(name: str, folder: Path) -> str:
    return (
        f"data set {name!r} is not on this machine and cannot be downloaded; "
        f"unpack torchvision's copy of it into {folder}."
    )
