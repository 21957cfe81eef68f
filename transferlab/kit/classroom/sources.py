"""What teachers download: a folder or a zip file, read without trusting a name or a size in it.

Nothing is unpacked to the disk, and nothing is executed.
"""

import io
import os
import stat
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path

from transferlab.errors import InputError

LARGEST = 20 << 20  # bytes of one submission
MOST, MOST_OF_ONE = 100_000, 1000  # files of a source, and of a student's own zip file
LEFT_BEHIND = {"__MACOSX", ".ipynb_checkpoints", ".git", "__pycache__"}  # by systems and editors


@dataclass(frozen=True)
class Entry:
    """One file of a source: its path in it, when it was changed, why it is refused, its bytes.

    `read` returns at most `LARGEST + 1` bytes.
    """

    path: tuple[str, ...]
    modified: float
    refused: str
    read: Callable[[], bytes]

    @property
    def where(self) -> str:
        """The path as it may be shown."""
        return plain("/".join(self.path))

    @property
    def suffix(self) -> str:
        return Path(self.path[-1]).suffix.lower()


def plain(text: str, longest: int = 500) -> str:
    """Return a text of somebody else's in one line, without characters that steer a terminal."""
    text = " ".join(text[: 4 * longest].split())
    kept = "".join("\ufffd" if unicodedata.category(c).startswith("C") else c for c in text)
    return kept if len(kept) <= longest else f"{kept[:longest]}…"


def read_source(source: Path) -> list[Entry]:
    """Return the files of a folder or a zip file, without those that systems and editors leave."""
    if not source.is_dir() and not (source.is_file() and zipfile.is_zipfile(source)):
        raise InputError(
            f"{source} is neither a folder nor a zip file; expected a folder with one folder for "
            "each student, what Moodle or Canvas offer as a download of all submissions, or a "
            "table of git repositories (.csv, .tsv, .txt)."
        )
    return listed(_in_folder(source) if source.is_dir() else _in_zip(source), MOST)


def opened(entry: Entry) -> list[Entry]:
    """Return the files of an entry: itself, or what is in it when it is a zip file of a student."""
    if entry.refused or entry.suffix != ".zip":
        return [entry]
    try:
        inside = listed(_in_zip(io.BytesIO(entry.read())), MOST_OF_ONE)
    except InputError as error:
        return [replace(entry, refused=f"no zip file that can be opened: {error}")]
    return [replace(found, path=(*entry.path, *found.path)) for found in inside]


def listed(found: Iterator[Entry], most: int) -> list[Entry]:
    """Return at most so many files, without those that systems and editors leave behind."""
    entries = []
    for entry in found:
        if not LEFT_BEHIND & set(entry.path) and not entry.path[-1].startswith("._"):
            entries.append(entry)
        if len(entries) > most:
            raise InputError(f"it holds more than {most:,} files.")
    return entries


def _in_folder(folder: Path) -> Iterator[Entry]:
    for place, folders, names in os.walk(folder):  # it does not follow links
        for name in sorted([*folders, *names]):
            path = Path(place, name)
            found = path.lstat()
            if not stat.S_ISDIR(found.st_mode):
                parts = path.relative_to(folder).parts
                read = partial(_read_file, path)
                yield Entry(parts, found.st_mtime, _odd_kind(found.st_mode), read)


def _odd_kind(mode: int) -> str:
    if stat.S_ISLNK(mode):
        return "a link"
    return "" if stat.S_IFMT(mode) in (0, stat.S_IFREG) else "a pipe, a socket or a device"


def _read_file(path: Path) -> bytes:
    """Return the bytes of a regular file, even if somebody has put a link there by now."""
    flags = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    with open(path, "rb", opener=lambda name, mode: os.open(name, mode | flags)) as file:
        return file.read(LARGEST + 1) if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else b""


def _in_zip(file: Path | io.BytesIO) -> Iterator[Entry]:
    try:
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        what = file if isinstance(file, Path) else "it"
        raise InputError(f"{what} is a damaged zip file: {plain(str(error))}.") from error
    for info in archive.infolist():
        if info.is_dir():
            continue
        parts = info.filename.replace("\\", "/").split("/")
        refused = _odd_kind(info.external_attr >> 16)
        if ".." in parts or parts[0] == "" or parts[0].endswith(":"):
            refused = "a path that leads out of its folder"
        elif info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            refused = "packed in an unusual way"
        elif info.flag_bits & 1:
            refused = "a file with a password"
        try:
            modified = datetime(*info.date_time).timestamp()
        except (ValueError, OverflowError, OSError):
            modified = 0.0
        path = tuple(part for part in parts if part not in ("", ".", "..")) or ("?",)
        yield Entry(path, modified, refused, partial(_read_zipped, archive, info))


def _read_zipped(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """Return the bytes, never more than the limit, whatever size the file claims to have."""
    try:
        with archive.open(info) as file:
            return file.read(LARGEST + 1)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise InputError(f"it is damaged in the zip file: {plain(str(error))}") from error
