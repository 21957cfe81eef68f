"""The folders of real data and weights on this machine."""

import os
from pathlib import Path

import torch

from transferlab.errors import InputError


def data_folder() -> Path | None:
    """Return the folder that TRANSFERLAB_DATA names, or None when the variable is not set."""
    value = os.environ.get("TRANSFERLAB_DATA")
    return Path(value).expanduser() if value else None


def torchvision_folder() -> Path:
    """Return the folder of torchvision's data sets, for reading and downloading."""
    folder = data_folder()
    if folder is not None and ((folder / "torchvision").is_dir() or os.access(folder, os.W_OK)):
        return folder / "torchvision"
    return Path("~/.cache/transferlab/torchvision").expanduser()


def weights_folders() -> list[Path]:
    """Return the folders to search for weights, in this order."""
    folders = [Path(torch.hub.get_dir()) / "checkpoints"]  # respects TORCH_HOME
    folder = data_folder()
    if folder is not None:
        folders.insert(0, folder / "weights")
    return folders


def real_folder(inside: str, name: str | None = None) -> Path:
    """Return a folder inside TRANSFERLAB_DATA; `name` is the data set's, if it differs."""
    name, folder = name or inside, data_folder()
    if folder is None or not (folder / inside).is_dir():
        where = "TRANSFERLAB_DATA is not set" if folder is None else f"{folder} has no such folder"
        raise InputError(
            f"data set {name!r} is not on this machine ({where}); "
            f"set TRANSFERLAB_DATA to a folder that holds {inside}/."
        )
    return folder / inside
