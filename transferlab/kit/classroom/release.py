"""A bundle for students: chosen chapters, the package, and nothing that gives answers away."""

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transferlab.errors import InputError
from transferlab.files import check_writable, written_whole
from transferlab.kit.classroom.edition import check_fresh
from transferlab.kit.exercises import (
    EXERCISES,
    chapters_with_exercises,
    secret_lines,
)
from transferlab.kit.lessons import OVERVIEW, find_lessons
from transferlab.kit.notebooks import files_named_in, read_json

TOP_FILES = ("pyproject.toml", "constraints.txt", "LICENSE", "Makefile")
PACKAGE_FILES = ("*.py", "data/sets/*.toml", "models/*.toml", "plots/*.js", "plots/sketches/*.svg")
PACKAGE_FILES += ("kit/*.html", "kit/classroom/*.md", "kit/classroom/labconfig/*.json")
PACKAGE_FILES += ("kit/site/*.md", "kit/site/static/*", "kit/slides/*.html")
PACKAGE_FILES += ("weights/*.json", "weights/*.safetensors")  # a .json is the card of one of these
GLOSSARY = "GLOSSARY.md"  # the lessons link to it
README = Path(__file__).with_name("bundle_readme.md")  # the README.md at the top is for teachers
FOLDER = "transferlab-course"  # what the bundle unpacks to
EARLIEST = (1980, 1, 1, 0, 0, 0)  # the first date a zip file knows: the same bytes every time


def write_bundle(
    chapters: Sequence[str], to: Path, course: Path, solutions: Path
) -> tuple[list[str], list[str]]:
    """Write the zip file; return the names in it, and those that lie beside them and stay out.

    The package goes in whole, with `kit`: it holds no answers. (Its command `transferlab` needs
    the extra `teach`, which students do not install.) Solutions and tests (which hold wrong
    answers with comments) stay out, and so does whatever is not listed here: it may be a secret.
    """
    chapters = [chapter.rstrip("/\\") for chapter in chapters]  # the Tab key makes "01_a/"
    names = sorted(path.name for path in course.glob("[0-9][0-9]_*") if path.is_dir())
    for chapter in chapters:
        if names and chapter not in names:  # without any, find_lessons says what is wrong
            raise InputError(f"{course} has no chapter {chapter!r}; there are {', '.join(names)}.")
    lessons = find_lessons(course, chapters)
    with_exercises = [c for c in chapters_with_exercises(solutions) if c in chapters]
    for chapter in chapters:
        if (course / chapter / EXERCISES).exists() and chapter not in with_exercises:
            raise InputError(
                f"{solutions} has no source of {course / chapter / EXERCISES}; without it nobody "
                "can check that no answer is given away."
            )
    check_writable(to)
    for chapter in with_exercises:
        check_fresh(course, solutions, chapter)
        check_nothing_leaks(solutions / chapter / EXERCISES, course / chapter / EXERCISES)
    home, root = course.resolve(), course.resolve().parent
    package = root / "transferlab"
    notebooks = [home / lesson.path.relative_to(course) for lesson in lessons]
    notebooks += [home / chapter / EXERCISES for chapter in with_exercises]
    overviews = [home / chapter / OVERVIEW for chapter in chapters]
    notebooks += [path for path in overviews if path.is_file()]
    files = [*notebooks, *(path for notebook in notebooks for path in files_named_in(notebook))]
    files += [root / name for name in (*TOP_FILES, f"{home.name}/ledger.json")]
    files += [page for page in (home / GLOSSARY,) if page.is_file()]
    files += [path for path in package.rglob("*") if _belongs(path, package)]
    for path in files:
        if not path.is_file():
            raise InputError(f"{path} does not exist, but belongs in the bundle.")
        if path != path.resolve():
            raise InputError(f"{path} is reached by a symbolic link; expected the file itself.")
    folders = (package, *{home / chapter for chapter in chapters})
    near = [path for folder in folders for path in folder.rglob("*")]
    left_out = {path for path in near if path.is_symlink() or path.is_file()} - set(files)
    named = {path.relative_to(root).as_posix(): path for path in files} | {"README.md": README}
    try:
        _write_zip(to, {name: named[name].read_bytes() for name in sorted(named)})
    except OSError as error:
        raise InputError(f"{to} cannot be written: {error.strerror}.") from error
    seen = [path.relative_to(root) for path in sorted(left_out)]
    return sorted(named), [path.as_posix() for path in seen if "__pycache__" not in path.parts]


def _belongs(path: Path, package: Path) -> bool:
    """Return whether a file is the package's own, and not left there by Python, editors, people."""
    name = path.relative_to(package)
    hidden = any(part.startswith(".") for part in name.parts)
    known = any(name.match(pattern) for pattern in PACKAGE_FILES)
    a_card = path.match("weights/*.json")
    lonely = a_card and not path.with_suffix(".safetensors").is_file()
    return known and path.is_file() and not (hidden or lonely or path.is_symlink())


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
    with written_whole(to) as unfinished, zipfile.ZipFile(unfinished, "w") as bundle:
        for name, content in files.items():
            entry = zipfile.ZipInfo(f"{FOLDER}/{name}", EARLIEST)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            bundle.writestr(entry, content)
