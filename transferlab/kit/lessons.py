"""Finding the lessons of a course, and knowing which parameters they take."""

import ast
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from transferlab.errors import InputError
from transferlab.kit.notebooks import check_folder, read_json, source_of, tagged

LESSONS = "[0-9][0-9]_*/0[1-9]_*.ipynb"
OVERVIEW, EXERCISES = "00_overview.ipynb", "exercises.ipynb"  # of a chapter


@dataclass(frozen=True)
class Lesson:
    """A lesson as its file describes it.

    Attributes:
        name: chapter and file name, such as "01_background/01_why_pretrain".
        minutes: what a student needs for reading, as `reading_minutes` finds.
        question: what the lesson asks, in a sentence; empty when it is not stated.
        parameters: the names that its cell tagged `parameters` sets.
        code_cells: how many cells there are to run.
        error: why the file cannot be read, in a sentence; then the rest is unknown.
    """

    path: Path
    name: str
    title: str
    minutes: int = 0
    question: str = ""
    parameters: tuple[str, ...] = ()
    code_cells: int = 0
    error: str = ""


def find_lessons(
    course: Path, patterns: Iterable[str] = (), *, keep_damaged: bool = False
) -> list[Lesson]:
    """Return the lessons that match any of the patterns, in the order of the course.

    Args:
        course: the folder with one folder per chapter.
        patterns: lessons ("04_code/04_resnet50_new_head"), chapters ("04_code") or patterns
            ("04_code/*"); none means every lesson.
        keep_damaged: return a lesson that cannot be read with its `error`, instead of raising.
    """
    check_folder(course, "--course")
    paths = {_name(path): path for path in sorted(course.glob(LESSONS))}
    if not paths:
        raise InputError(
            f"{course} holds no lessons; expected {course}/01_chapter/01_lesson.ipynb."
        )
    wanted = set()
    for pattern in patterns:
        matching = {name for name in paths if _matches(name, pattern, course)}
        if not matching:
            raise InputError(f"no lesson matches {pattern!r}; there are {', '.join(paths)}.")
        wanted |= matching
    read = _read_or_say_why if keep_damaged else read_lesson
    return [read(path) for name, path in paths.items() if not wanted or name in wanted]


def _read_or_say_why(path: Path) -> Lesson:
    try:
        return read_lesson(path)
    except InputError as error:
        return Lesson(path, _name(path), title=path.stem, error=str(error))


def _name(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


def _matches(name: str, pattern: str, course: Path) -> bool:
    pattern = pattern.removeprefix(f"{course.as_posix()}/").removesuffix(".ipynb").rstrip("/")
    return fnmatchcase(name, pattern) or fnmatchcase(name.partition("/")[0], pattern)


def read_lesson(path: Path) -> Lesson:
    """Return what a lesson's file says about it."""
    notebook = read_json(path)
    cells = notebook["cells"]
    texts = [source_of(cell) for cell in cells if cell["cell_type"] == "markdown"]
    headings = [line[2:] for text in texts for line in text.splitlines() if line.startswith("# ")]
    return Lesson(
        path=path,
        name=_name(path),
        title=headings[0].strip() if headings else path.stem,
        minutes=reading_minutes(cells),
        question=_question(path, notebook),
        parameters=_parameters(path, notebook),
        code_cells=sum(cell["cell_type"] == "code" for cell in cells),
    )


def reading_minutes(cells: list[dict[str, Any]]) -> int:
    """Return the minutes for 200 words or 15 lines of code each, up to the next five minutes.

    Formulas count as one word. References, comments and blank lines do not count.
    """
    words = lines = 0
    for cell in cells:
        text = source_of(cell)
        if cell["cell_type"] == "code":
            lines += len(re.findall(r"^\s*[^\s#]", text, re.MULTILINE))
        else:
            text = re.sub(r"\$[^$]+\$", "formula", text.partition("## References")[0])
            words += len(re.findall(r"\w[\w'’-]*", text))
    return 5 * math.ceil((words / 200 + lines / 15) / 5)


def _question(path: Path, notebook: dict[str, Any]) -> str:
    """Return the lesson's question, as the notebook's metadata say it."""
    about = notebook["metadata"].get("transferlab", {})
    if isinstance(about, dict) and isinstance(about.get("question", ""), str):
        return about.get("question", "")
    raise InputError(f"{path}: metadata.transferlab is {about!r}; expected a question, a text.")


def _parameters(path: Path, notebook: dict[str, Any]) -> tuple[str, ...]:
    """Return the names that the cell tagged `parameters` assigns."""
    try:
        statements = ast.parse("".join(tagged(notebook, "parameters")[:1])).body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise InputError(
            f"{path}: the cell tagged `parameters` is not plain Python ({error}); "
            'expected lines such as profile = "class".'
        ) from error
    assignments = [s for s in statements if isinstance(s, ast.Assign | ast.AnnAssign)]
    nodes = [node for assignment in assignments for node in ast.walk(assignment)]
    names = [n for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
    return tuple(name.id for name in names)


def check_parameters(lesson: Lesson, parameters: Mapping[str, Any]) -> None:
    """Raise when a lesson does not have one of the parameters: papermill would only warn."""
    if lesson.error:
        raise InputError(lesson.error)
    for name in parameters:
        if name not in lesson.parameters:
            known = ", ".join(lesson.parameters) or "none (no cell is tagged `parameters`)"
            raise InputError(f"{lesson.name} has no parameter {name!r}; it has {known}.")
