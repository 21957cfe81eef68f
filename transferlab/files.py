"""Atomic writes of files, locks, hashes, and tables as text and HTML."""

import contextlib
import hashlib
import html
import itertools
import os
import platform
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from transferlab.errors import InputError


def real_path(path: str | Path) -> Path:
    """Return the absolute path of a file: `~` is expanded, and links are followed."""
    return Path(path).expanduser().resolve()


@contextlib.contextmanager
def written_whole(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path to write to; without an error it is renamed to `path`.

    >>> with written_whole("run.pt") as unfinished:
    ...     torch.save(content, unfinished)

    The content is flushed to the disk and then renamed. Renaming is atomic: a process that is
    killed at any moment leaves either the old file or the new one, complete. Every process writes
    to its own temporary name, so that two of them cannot mix their bytes; the unfinished file of a
    killed process is removed by the next one that writes the same file.
    """
    given, path = path, real_path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = _unfinished_name(path)
    try:
        yield unfinished
        with unfinished.open("rb+") as file:
            os.fsync(file.fileno())
        unfinished.replace(path)
    except OSError as error:  # a full disk does not say which file it had no room for
        error.filename = error.filename or str(given)
        raise
    finally:
        unfinished.unlink(missing_ok=True)  # already renamed if there was no error
        _sweep(path)


_numbers = itertools.count()  # two writes of one process have different names too


def _unfinished_name(path: Path) -> Path:
    me = f"{platform.node()}-{os.getpid()}-{next(_numbers)}"
    return path.with_name(f".{path.name}.{me}.part")


def _sweep(path: Path) -> None:
    """Remove the unfinished files of processes of this machine that have ended."""
    for leftover in path.parent.glob(f".{path.name}.{platform.node()}-*.part"):
        process = int(leftover.name.split("-")[-2])
        if not _is_running(process):
            with contextlib.suppress(OSError):  # another user's, or open on Windows
                leftover.unlink(missing_ok=True)


def _is_running(process: int) -> bool:
    if os.name == "nt":  # there, os.kill would end the process
        return True
    try:
        os.kill(process, 0)  # signal 0 only checks
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def check_writable(path: str | Path) -> None:
    """Refuse a file that cannot be written, now instead of after an hour of work."""
    path = real_path(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder; expected the name of a file.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        probe = _unfinished_name(path)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}.") from error


@contextlib.contextmanager
def locked(path: str | Path) -> Iterator[None]:
    """Lock `path` for this process; a second one gets an InputError.

    The lock is a small hidden file beside it. The system releases it when the process ends, however
    it ends.
    """
    import filelock  # here, because `import transferlab` should be no slower than torch

    path = real_path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(path.with_name(f".{path.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise InputError(
            f"{path} is in use by another run; wait until it ends, or use another file."
        ) from None
    try:
        yield
    finally:
        lock.release()


# ---- hashes --------------------------------------------------------------------------------------


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_text(text: str) -> str:
    """Return the SHA-256 of a text as hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def hash_tensors(tensors: Iterable[tuple[str, Tensor]]) -> str:
    """Return the SHA-256 of tensors with their names, types and shapes."""
    digest = hashlib.sha256()
    for name, tensor in tensors:
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor_bytes(tensor))
    return digest.hexdigest()


def tensor_bytes(tensor: Tensor) -> memoryview:
    """Return the numbers of a tensor as bytes, without a copy if they are contiguous."""
    flat = tensor.detach().cpu().contiguous().flatten()
    return memoryview(flat.view(torch.uint8).numpy())


# ---- tables --------------------------------------------------------------------------------------


def text_table(rows: Sequence[Sequence[str]], numbers: bool = False) -> str:
    """Return rows of cells as lines of text, the columns aligned; the first row is the header.

    Args:
        numbers: all columns but the first hold numbers, aligned to the right.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if numbers and i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join([lines[0], "-" * (sum(widths) + 2 * (len(widths) - 1)), *lines[1:]])


def html_table(rows: Sequence[Sequence[str]], numbers: bool = False) -> str:
    """Return rows of cells as an HTML table; the arguments are those of `text_table`."""
    header, *body = [[html.escape(cell, quote=False) for cell in row] for row in rows]
    head = "".join(f"<th>{cell}</th>" for cell in header)
    lines = []
    for row in body:
        sides = ["right" if numbers and i else "left" for i in range(len(row))]
        cells = [
            f"<td style='text-align:{side}'>{cell}</td>"
            for side, cell in zip(sides, row, strict=True)
        ]
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
