"""Tensors on the disk: written batch by batch, and memory-mapped for reading.

Three files belong together: `NAME.x.npy` and `NAME.y.npy`, which NumPy and other programs read too,
and `NAME.json`, written last, which says what they are and what their hashes must be.
"""

import contextlib
import json
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from transferlab.data.dataset import Batch
from transferlab.files import sha256, written_whole

STORED_AS = {torch.bfloat16: torch.int16}  # the same bits in a type that NumPy has


def write_batches(path: Path, batches: Iterable[Batch], samples: int, note: Any) -> None:
    """Write batches (x, y), completely or not at all, with one batch at a time in memory.

    Two processes that write the same data do not disturb each other.

    Args:
        path: where to write, without an ending.
        samples: how many there are in all batches together.
        note: what the data are, for `read_mapped`; anything that JSON can hold.
    """
    x_file, y_file, note_file = _files(path)
    labels: list[Tensor] = []
    with written_whole(x_file) as unfinished, unfinished.open("wb") as file:
        for x, y in batches:
            dtype = str(x.dtype)
            rows = x.cpu().contiguous().view(STORED_AS.get(x.dtype, x.dtype)).numpy()
            if not labels:
                np.lib.format.write_array_header_1_0(file, _header(rows, samples))
            file.write(rows.data)
            labels.append(y.cpu())
    with written_whole(y_file) as unfinished, unfinished.open("wb") as file:
        np.save(file, torch.cat(labels).numpy())
    content = {"of": note, "dtype": dtype, "sha256": [sha256(x_file), sha256(y_file)]}
    with written_whole(note_file) as unfinished:
        text = json.dumps(content, sort_keys=True, indent=2, ensure_ascii=False)
        unfinished.write_text(text + "\n", encoding="utf-8")


def read_mapped(path: Path, note: Any) -> Batch | None:
    """Return x and y, or None when they are not there, damaged or have another note.

    x stays on the disk and is read on demand. It is a private copy: writing to it changes
    nothing on the disk, and a new file of the same name changes nothing in it.
    """
    x_file, y_file, note_file = _files(path)
    if not note_file.is_file():
        return None
    try:
        content = json.loads(note_file.read_text(encoding="utf-8"))
        is_whole = content["sha256"] == [sha256(x_file), sha256(y_file)]
    except (OSError, ValueError, KeyError, TypeError):
        is_whole = False
    if not is_whole:
        warnings.warn(f"{note_file} is damaged; its content is computed again.", stacklevel=2)
        return None
    if content["of"] != note:
        warnings.warn(
            f"{note_file} holds other data than its name says; they are computed again.",
            stacklevel=2,
        )
        return None
    with contextlib.suppress(OSError):  # a folder that is only to be read
        note_file.touch()  # used just now: the cache removes what was not for long
    x = torch.from_numpy(np.load(x_file, mmap_mode="c"))  # "c": changes stay in memory
    dtype = getattr(torch, content["dtype"].removeprefix("torch."))
    return x.view(dtype), torch.from_numpy(np.load(y_file))


def remove_mapped(path: Path) -> None:
    """Remove the files of `write_batches`."""
    for file in _files(path):
        file.unlink(missing_ok=True)


def _header(rows: np.ndarray, samples: int) -> dict[str, Any]:
    """Return the header of NumPy's format for all batches together, before they are written."""
    described = np.lib.format.header_data_from_array_1_0(rows)
    return {**described, "shape": (samples, *rows.shape[1:])}


def _files(path: Path) -> tuple[Path, Path, Path]:
    return tuple(path.with_name(path.name + ending) for ending in (".x.npy", ".y.npy", ".json"))
