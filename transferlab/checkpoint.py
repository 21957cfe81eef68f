"""Checkpoints: written whole or not at all, read without running code, refused when damaged."""

import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch

from transferlab.errors import InputError

FORMAT = "transferlab checkpoint 1"


def save_checkpoint(path: str | Path, content: dict[str, Any]) -> None:
    """Write a checkpoint of tensors, numbers, strings, lists and dicts.

    It is written to a second file, forced to the disk, and renamed. Renaming is one step for the
    file system: whoever is killed at any moment leaves the old checkpoint or the new one, whole.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".part")  # always the same name: no litter after crashes
    try:
        with partial.open("wb") as file:
            torch.save({"format": FORMAT, **content}, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def load_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read what `save_checkpoint` wrote, onto the CPU; refuse a cut, altered or foreign file."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path} does not exist; expected a checkpoint.")
    try:
        # torch's files are zip archives, with a checksum for every record: compare them all.
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
    except Exception as error:  # zipfile has a dozen kinds of exceptions for altered bytes
        raise InputError(f"{path} is cut short or is not a checkpoint; delete it.") from error
    if broken is not None:
        raise InputError(f"{path} was altered: the checksum of {broken} is wrong; delete it.")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{path} holds more than tensors and was not opened, because it could run code; "
            "expected a checkpoint that fit() wrote."
        ) from error
    except (RuntimeError, ValueError, KeyError) as error:
        raise InputError(f"{path} is damaged; delete it.") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InputError(f"{path} is not a checkpoint that fit() wrote.")
    return content
