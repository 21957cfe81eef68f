"""The student's own copy of the course, `my_course/`: made once, brought up to date, never lost.

A copy has no outputs. What the course has handed out stays in the hidden folder `.base/` of the
copy: with it, three ways can be told apart that a file may differ (the student changed it, the
course did, or both).
"""

import contextlib
import hashlib
import json
import platform
from pathlib import Path
from typing import Any

from transferlab.errors import InputError
from transferlab.kit.classroom.merge import MARK, marked_cells, merge
from transferlab.kit.lessons import EXERCISES, LESSONS, OVERVIEW
from transferlab.kit.notebooks import (
    CELL_METADATA,
    KERNEL,
    check_folder,
    files_named_in,
    notebook_text,
    read_json,
    read_notebook,
    source_of,
)

COPY, BASE = "my_course", ".base"
PAGES = ("README.md", "GLOSSARY.md")
LANGUAGE = {"name": "python"}
# What JupyterLab writes into a notebook when it opens one. With it in place, a lesson that was only
# looked at is not changed.
OPENED = LANGUAGE | {
    "codemirror_mode": {"name": "ipython", "version": 3},
    "file_extension": ".py",
    "mimetype": "text/x-python",
    "nbconvert_exporter": "python",
    "pygments_lexer": "ipython3",
    "version": platform.python_version(),
}
COMPARE = f"compare the cells that begin with {MARK!r}"
# What can happen to a file, and how it is said of one file and of several.
SAID = {
    "new": ("is new", "are new"),
    "replaced": ("was replaced by a newer one", "were replaced by newer ones"),
    "merged": ("was merged into yours", "were merged into yours"),
    "marked": (f"was merged into yours: {COMPARE}", f"were merged into yours: {COMPARE}"),
    "kept": ("is newer in the course; yours was kept", "are newer in the course; yours were kept"),
    "deleted": ("was deleted by you and stays so", "were deleted by you and stay so"),
}
NAMED = 3  # more names than these would not fit in a line


def update_copy(course: Path, restore: str = "") -> tuple[Path, dict[str, list[str]], list[str]]:
    """Make the student's copy beside the course, or bring it up to date.

    Each file is written whole, and its base after it: a call that is cut short is finished by the
    next one.

    Args:
        course: the folder with one folder per chapter.
        restore: the name of a file, such as "01_a/01_one.ipynb", that comes back if the student
            has deleted it.

    Returns:
        The folder of the copy; the names of the files by what happened to them (the keys of
        `SAID`); and a sentence for every file that could not be read, and was left alone.
    """
    check_folder(course, "--course")
    course = course.resolve()
    copy = course.parent / COPY
    _check_place(copy, course)
    happened: dict[str, list[str]] = {what: [] for what in SAID}
    troubles = []
    for source in handed_out(course):
        name = source.relative_to(course).as_posix()
        mine, base = copy / name, copy / BASE / name
        try:
            for path in (mine, base):
                if path.resolve() != copy.resolve() / path.relative_to(copy):
                    raise InputError(f"{path} is reached by a symbolic link; it was left alone.")
            fresh = _content(source, course.name)
            what, content = _next(mine, _before(base), fresh, restore == name)
        except (InputError, OSError) as error:
            troubles.append(str(error))
            continue
        if content is not None:
            _write(mine, content)
        if what in happened:
            happened[what].append(name)
        if what != "deleted" and not (base.is_file() and base.read_bytes() == fresh):
            _write(base, fresh)
    return copy, happened, troubles


def summary(copy: Path, happened: dict[str, list[str]]) -> str:
    """Return one line that says what a call of `update_copy` has done."""
    parts = []
    for what, names in happened.items():
        if names:
            listed = f" ({', '.join(names)})" if len(names) <= NAMED else ""
            files = "file" if len(names) == 1 else "files"
            parts.append(f"{len(names)} {files} {SAID[what][len(names) > 1]}{listed}")
    return f"{copy.name}: {'; '.join(parts) or 'as the course is'}."


def handed_out(course: Path) -> list[Path]:
    """Return what a student gets: pages, overviews, lessons, exercises, and the files they name."""
    patterns = (LESSONS, f"[0-9][0-9]_*/{OVERVIEW}", f"[0-9][0-9]_*/{EXERCISES}")
    notebooks = sorted(path for pattern in patterns for path in course.glob(pattern))
    files = [course / page for page in PAGES if (course / page).is_file()]
    for notebook in notebooks:
        files.append(notebook)
        with contextlib.suppress(InputError):  # it is said when the notebook itself is read
            files += files_named_in(notebook)
    return list(dict.fromkeys(files))


def _check_place(copy: Path, course: Path) -> None:
    if copy.exists() and not copy.is_dir():
        raise InputError(f"{copy} is a file; expected a folder for your copy of the course.")
    if copy.resolve() == course or course in copy.resolve().parents:
        raise InputError(f"{copy} leads into {course}; expected a folder of its own.")


def _content(source: Path, course: str) -> bytes:
    """Return what the course hands out: a notebook without outputs, any other file as it is.

    Args:
        course: the name of the course's folder; links that go through it stay in the copy.
    """
    if source.suffix != ".ipynb":
        return source.read_bytes()
    notebook = read_json(source)
    about = {
        key: notebook["metadata"][key] for key in ("transferlab",) if key in notebook["metadata"]
    }
    notebook["metadata"] = {"kernelspec": KERNEL, "language_info": LANGUAGE} | about
    for cell in notebook["cells"]:
        text = source_of(cell)
        if cell["cell_type"] == "code":
            cell |= {"outputs": [], "execution_count": None}
        else:
            text = text.replace(f"](../../{course}/", "](../")
        cell["source"] = text.splitlines(keepends=True)
        cell["metadata"] = {k: v for k, v in cell["metadata"].items() if k in CELL_METADATA}
    return _text(notebook)


def _text(notebook: dict[str, Any]) -> bytes:
    """Return the file of a notebook, byte for byte as JupyterLab would save it."""
    text = json.dumps(notebook, ensure_ascii=False, indent=1, sort_keys=True)
    return f"{text}\n".encode()


def _next(
    mine: Path, before: bytes | None, fresh: bytes, restore: bool
) -> tuple[str, bytes | None]:
    """Return what happens to a file of the student, and its new content if there is one."""
    if not mine.exists():
        deleted = before is not None and not restore
        return ("deleted", None) if deleted else ("new", _opened(mine, fresh))
    if before == fresh:
        return "unchanged", None
    if mine.suffix != ".ipynb":
        now = mine.read_bytes()
        if now == fresh:
            return "unchanged", None
        return ("replaced", fresh) if now == before else ("kept", None)
    notebook = read_json(mine)
    if _origin(notebook) == _digest(fresh):
        return "unchanged", None  # a call was cut short before it wrote the base
    if before is not None and _cells(notebook) == _cells(json.loads(before)):
        return "replaced", _opened(mine, fresh)
    return _merged(mine, before, fresh)


def _before(base: Path) -> bytes | None:
    """Return what the course handed out last time; None when that is not known."""
    try:
        if base.suffix == ".ipynb":
            read_json(base)
        return base.read_bytes()
    except (InputError, OSError):  # missing or damaged
        return None


def _cells(notebook: dict[str, Any]) -> list[tuple]:
    """Return what counts as the student's work: texts, outputs and pasted pictures, in order."""
    return [
        (cell["cell_type"], source_of(cell), cell.get("outputs"), cell.get("attachments"))
        for cell in notebook["cells"]
    ]


def _opened(path: Path, fresh: bytes) -> bytes:
    """Return what is written for the student."""
    if path.suffix != ".ipynb":
        return fresh
    notebook = json.loads(fresh)
    notebook["metadata"]["language_info"] = OPENED
    notebook["metadata"].setdefault("transferlab", {})["copy_of"] = _digest(fresh)
    return _text(notebook)


def _digest(fresh: bytes) -> str:
    return hashlib.sha256(fresh).hexdigest()


def _origin(notebook: dict[str, Any]) -> str:
    """Return the digest of what the course last handed out into a notebook of the student."""
    about = notebook["metadata"].get("transferlab")
    return about.get("copy_of", "") if isinstance(about, dict) else ""


def _merged(mine: Path, before: bytes | None, fresh: bytes) -> tuple[str, bytes]:
    """Return the student's notebook with what is new, and whether there is something to compare."""
    from nbformat import reads

    own = read_notebook(mine)
    base = reads((before or fresh).decode(), as_version=4)
    if before is None:
        base.cells = []
    merged = merge(base, own, reads(_opened(mine, fresh).decode(), as_version=4))
    what = "marked" if marked_cells(merged) > marked_cells(own) else "merged"
    return what, notebook_text(merged).encode()


def _write(path: Path, content: bytes) -> None:
    from transferlab.files import written_whole  # imports torch

    try:
        with written_whole(path) as unfinished:
            unfinished.write_bytes(content)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}.") from error
