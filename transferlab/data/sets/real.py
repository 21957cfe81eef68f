"""Real data sets by name: from the disk if they are there, otherwise from the network."""

import gzip
import os
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset

from transferlab.data.dataset import MemoryDataset
from transferlab.data.folders import image_folder
from transferlab.data.places import data_folder, real_folder, torchvision_folder
from transferlab.errors import InputError

# name -> (torchvision class, the folder that it unpacks to)
TORCHVISION_SETS = {
    "mnist": ("MNIST", "MNIST/raw"),
    "fashion_mnist": ("FashionMNIST", "FashionMNIST/raw"),
    "cifar10": ("CIFAR10", "cifar-10-batches-py"),
    "cifar100": ("CIFAR100", "cifar-100-python"),
}
FOLDERS = ("cifar10_jpg", "hymenoptera")
NAMES = (*TORCHVISION_SETS, *FOLDERS)
# Sets that the applications read, and where they lie in the folder of TRANSFERLAB_DATA.
OTHERS = {"spoken_digits": "spoken_digits", "rt_polarity": "text/rt-polarity.pos"}


def load(name: str, part: str = "train", transform: Callable | None = None) -> Dataset:
    """Return one part of a real data set.

    Searched in this order: the folder that TRANSFERLAB_DATA names, torchvision's folder, and,
    when there is a network, torchvision's download.

    Args:
        name: "mnist", "fashion_mnist", "cifar10", "cifar100" (torchvision's sets, kept in memory
            as uint8), "cifar10_jpg" (300 training photos per class) or "hymenoptera" (ants and
            bees), these two as image folders. Spoken digits and film reviews are in
            `transferlab.applications`, with the lessons that use them.
        part: "train" or "test".
        transform: for the image folders, usually `backbone.transform`.
    """
    if name not in NAMES:
        raise InputError(f"data set {name!r} is unknown; expected one of {', '.join(NAMES)}.")
    if part not in ("train", "test"):
        raise InputError(f"part={part!r} is unknown; expected 'train' or 'test'.")
    if name == "cifar10_jpg":
        return image_folder(real_folder(name) / part, transform)
    if name == "hymenoptera":
        return image_folder(real_folder(name) / {"test": "val"}.get(part, part), transform)
    packed = data_folder() and data_folder() / "mnist" / "MNIST" / "raw"
    if name == "mnist" and packed and packed.is_dir():
        return _mnist_from_gz(packed, part)
    return _from_torchvision(name, part)


def present() -> dict[str, bool]:
    """Return which real data sets are on this machine, by name."""
    folder, root = data_folder(), torchvision_folder()
    is_present = {name: (root / inside).is_dir() for name, (_, inside) in TORCHVISION_SETS.items()}
    if folder is not None:
        is_present["mnist"] |= (folder / "mnist" / "MNIST" / "raw").is_dir()
    for name, inside in {**dict(zip(FOLDERS, FOLDERS, strict=True)), **OTHERS}.items():
        is_present[name] = folder is not None and (folder / inside).exists()
    return is_present


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


def _from_torchvision(name: str, part: str) -> MemoryDataset:
    from torchvision import datasets  # here: it takes as long as torch

    class_name, inside = TORCHVISION_SETS[name]
    make = getattr(datasets, class_name)
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
