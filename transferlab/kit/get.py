"""Unpacking the course that comes with an installed package."""

import shutil
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path, PurePosixPath

from transferlab.errors import InputError

SHARED = "share/transferlab/course/"  # where pyproject.toml has an installer put the course


def unpack_course(to: Path) -> int:
    """Copy the course into a new folder, and return how many files it has.

    An installation of a clone in place (`pip install -e`) holds no course: there it lies beside.
    """
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise InputError(f"{to} is there already; expected a new or an empty folder.")
    found = _installed()
    if not found:
        raise InputError(
            "this installation holds no course: it is a clone that was installed in place, and the "
            "course is the folder course/ of the clone."
        )
    for name, source in found.items():
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, to / name)
    return len(found)


def _installed() -> dict[str, Path]:
    """Return the files of the course as the installer has recorded them, by name."""
    try:
        recorded = files("transferlab") or []
    except PackageNotFoundError:
        return {}
    return {
        PurePosixPath(file).as_posix().partition(SHARED)[2]: Path(str(file.locate()))
        for file in recorded
        if SHARED in PurePosixPath(file).as_posix()
    }
