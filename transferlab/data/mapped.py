"""Tensors on the disk: written batch by batch, and mapped into memory when they are read.

The format is safetensors, which other programs read too: `x`, `y`, a note, and as the last tensor
the SHA-256 of every byte before it.
"""

import contextlib
import hashlib
import json
import os
import struct
import tempfile
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

import safetensors
import torch
from torch import Tensor

from transferlab.files import tensor_bytes

CHUNK_BYTES = 2**20
HASH_BYTES = 32  # of SHA-256
TYPES = {torch.float16: "F16", torch.bfloat16: "BF16", torch.float32: "F32", torch.float64: "F64"}


def write_batches(
    path: Path, batches: Iterable[tuple[Tensor, Tensor]], samples: int, note: Any
) -> None:
    """Write batches (x, y) into one file, whole or not at all; one batch at a time is in memory.

    Each call writes a file of its own and renames it at the end. Two processes that write the same
    data do not disturb each other.

    Args:
        samples: how many there are in all batches together.
        note: what the data are, for `read_mapped`; anything that JSON can hold.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f"{path.name}.", suffix=".part", dir=path.parent)
    partial = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            _write(file, batches, samples, note)
        _publish(partial, path)
    finally:
        partial.unlink(missing_ok=True)  # it is not there any more when all went well


def read_mapped(path: Path, note: Any) -> tuple[Tensor, Tensor] | None:
    """Return x and y of a file, or None when it is not there, damaged or has another note.

    x stays on the disk and is read where it is used. It is a private copy: writing to it changes
    nothing on the disk, and a new file of the same name changes nothing in it.
    """
    if not path.is_file():
        return None
    if not _is_whole(path):
        warnings.warn(f"{path} is damaged; what it held is computed anew.", stacklevel=2)
        return None
    with safetensors.safe_open(path, framework="pt") as file:
        if json.loads(file.metadata()["transferlab"]) != note:
            warnings.warn(
                f"{path} holds other data than its name says; they are computed anew.", stacklevel=2
            )
            return None
        return file.get_tensor("x"), file.get_tensor("y").clone()


def _write(
    file: BinaryIO, batches: Iterable[tuple[Tensor, Tensor]], samples: int, note: Any
) -> None:
    digest = hashlib.sha256()

    def append(content: bytes | memoryview) -> None:
        digest.update(content)
        file.write(content)

    labels = []
    for x, y in batches:
        if not labels:
            append(_header(samples, x, note))
        append(tensor_bytes(x))
        labels.append(y.cpu())
    append(tensor_bytes(torch.cat(labels)))
    file.write(digest.digest())


def _header(samples: int, x: Tensor, note: Any) -> bytes:
    """Return the start of a safetensors file: its length, then JSON that says what lies where."""
    x_end = samples * x[0].numel() * x.element_size()
    y_end = x_end + samples * torch.int64.itemsize
    hash_end = y_end + HASH_BYTES
    entries = {
        "__metadata__": {"transferlab": json.dumps(note)},
        "x": {
            "dtype": TYPES[x.dtype],
            "shape": [samples, *x.shape[1:]],
            "data_offsets": [0, x_end],
        },
        "y": {"dtype": "I64", "shape": [samples], "data_offsets": [x_end, y_end]},
        "sha256": {"dtype": "U8", "shape": [HASH_BYTES], "data_offsets": [y_end, hash_end]},
    }
    text = json.dumps(entries).encode()
    text += b" " * (-len(text) % 8)  # numbers of 8 bytes are best read from multiples of 8
    return struct.pack("<Q", len(text)) + text


def _is_whole(path: Path) -> bool:
    """Return whether the last bytes of a file are the SHA-256 of all before them."""
    digest, left = hashlib.sha256(), max(0, path.stat().st_size - HASH_BYTES)
    with path.open("rb") as file:
        while chunk := file.read(min(left, CHUNK_BYTES)):
            digest.update(chunk)
            left -= len(chunk)
        return file.read() == digest.digest()


def _publish(partial: Path, path: Path) -> None:
    """Give a finished file its name, and sweep up what killed processes left unfinished."""
    with contextlib.suppress(FileNotFoundError):  # another process was faster, and swept this up
        partial.chmod(0o644)  # temporary files are private to their user
        partial.replace(path)
    for leftover in path.parent.glob(f"{path.name}.*.part"):
        with contextlib.suppress(PermissionError):  # another user's, or open on Windows
            leftover.unlink(missing_ok=True)
