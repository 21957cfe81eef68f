"""A bundle for students: chosen chapters, the package, and nothing that gives answers away."""

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transferlab.errors import InputError
from transferlab.files import written_whole
from transferlab.kit.exercises import (
    EXERCISES,
    chapters_with_exercises,
    secret_lines,
    stale_exercises,
)
from transferlab.kit.lessons import find_lessons
from transferlab.kit.notebooks import read_json
from transferlab.kit.overview import OVERVIEW

TOP_FILES = ("pyproject.toml", "constraints.txt", "LICENSE", "Makefile")
README = Path(__file__).with_name("bundle_readme.md")  # the README.md at the top is for teachers
FOLDER = "transferlab-course"  # what the bundle unpacks to
EARLIEST = (1980, 1, 1, 0, 0, 0)  # the first date a zip file knows: the same bytes every time


def write_bundle(chapters: Sequence[str], to: Path, course: Path, solutions: Path) -> list[str]:
    """Write the zip file and return the names in it.

    The package goes in whole, with `kit`: it holds no answers. (Its command `transferlab` needs
    the extra `teach`, which students do not install.) Solutions and tests (which hold wrong
    answers with comments) stay out.
    """
    if to.is_dir():
        raise InputError(
            f"{to} is a folder; expected a zip file to write, such as {to}/bundle.zip."
        )
    chapters = [chapter.rstrip("/\\") for chapter in chapters]  # the Tab key makes "01_a/"
    names = sorted(path.name for path in course.glob("[0-9][0-9]_*") if path.is_dir())
    for chapter in chapters:
        if names and chapter not in names:  # without any, find_lessons says what is wrong
            raise InputError(f"{course} has no chapter {chapter!r}; there are {', '.join(names)}.")
    lessons = find_lessons(course, chapters)
    with_exercises = [c for c in chapters_with_exercises(solutions) if c in chapters]
    for chapter in with_exercises:
        if stale_exercises(solutions, course, [chapter]):
            raise InputError(
                f"{course / chapter / EXERCISES} is not up to date with its source; "
                "run `transferlab exercises` first."
            )
        check_nothing_leaks(solutions / chapter / EXERCISES, course / chapter / EXERCISES)
    root = course.resolve().parent
    files = [lesson.path.resolve() for lesson in lessons]
    files += [(course / chapter / EXERCISES).resolve() for chapter in with_exercises]
    overviews = [course / chapter / OVERVIEW for chapter in dict.fromkeys(chapters)]
    files += [path.resolve() for path in overviews if path.is_file()]
    files += [root / name for name in (*TOP_FILES, f"{course.name}/ledger.json")]
    package = root / "transferlab"
    files += [path for path in package.rglob("*") if path.is_file() and _belongs(path, package)]
    for path in files:
        if not path.is_file():
            raise InputError(f"{path} does not exist, but belongs in the bundle.")
    named = {path.relative_to(root).as_posix(): path for path in files} | {"README.md": README}
    _write_zip(to, {name: named[name].read_bytes() for name in sorted(named)})
    return sorted(named)


def _belongs(path: Path, package: Path) -> bool:
    """Return whether a file is the package's own, and not left behind by Python or an editor."""
    parts = path.relative_to(package).parts
    left_behind = path.name.endswith((".part", "~"))
    return not left_behind and not any(p.startswith(".") or p == "__pycache__" for p in parts)


def check_nothing_leaks(solved: Path, student: Path) -> None:
    """Raise when a line of the solutions can be found anywhere in the student edition."""
    texts = "\n".join(_texts(read_json(student)))
    for line in sorted(secret_lines(solved)):
        if line in texts:
            raise InputError(f"{student} gives away a line of the solutions: {line!r}.")


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [text for item in value for text in _texts(item)] if isinstance(value, list) else []


def _write_zip(to: Path, files: dict[str, bytes]) -> None:
    with (
        written_whole(to) as unfinished,
        zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED) as bundle,
    ):
        for name, content in files.items():
            entry = zipfile.ZipInfo(f"{FOLDER}/{name}", EARLIEST)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            bundle.writestr(entry, content)
