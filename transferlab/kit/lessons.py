"""Finding the lessons of a course, and knowing which parameters they take."""

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from transferlab.errors import InputError
from transferlab.kit.notebooks import has_tag, read_json, source_of

LESSONS = "[0-9][0-9]_*/0[1-9]_*.ipynb"  # 00 is the overview of a chapter


@dataclass(frozen=True)
class Lesson:
    """A lesson as its file describes it.

    Attributes:
        name: chapter and file name, such as "01_background/01_why_pretrain".
        minutes: what a student needs for reading and running, or None when it is not stated.
        question: what the lesson asks, in a sentence; empty when it is not stated.
        parameters: the names that its cell tagged `parameters` sets.
        code_cells: how many cells there are to run.
    """

    path: Path
    name: str
    title: str
    minutes: int | None
    question: str
    parameters: tuple[str, ...]
    code_cells: int


def find_lessons(course: Path, patterns: Iterable[str] = ()) -> list[Lesson]:
    """Return the lessons that match any of the patterns, in the order of the course.

    Args:
        course: the folder with one folder per chapter.
        patterns: lessons ("04_code/04_resnet50_new_head"), chapters ("04_code") or patterns
            ("04_code/*"); none means every lesson.
    """
    if not course.is_dir():
        raise InputError(
            f"there is no folder {str(course)!r} here; change to the folder that holds it, or name "
            "it with --course."
        )
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
    return [read_lesson(path) for name, path in paths.items() if not wanted or name in wanted]


def _name(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


def _matches(name: str, pattern: str, course: Path) -> bool:
    pattern = pattern.removeprefix(f"{course.as_posix()}/").removesuffix(".ipynb").rstrip("/")
    return fnmatchcase(name, pattern) or fnmatchcase(name.partition("/")[0], pattern)


def read_lesson(path: Path) -> Lesson:
    """Return what a lesson's file says about it."""
    notebook = read_json(path)
    cells = notebook["cells"]
    headings = [
        line.removeprefix("# ").strip()
        for cell in cells
        if cell["cell_type"] == "markdown"
        for line in source_of(cell).splitlines()
        if line.startswith("# ")
    ]
    about = notebook.get("metadata", {}).get("transferlab", {})
    return Lesson(
        path=path,
        name=_name(path),
        title=headings[0] if headings else path.stem,
        minutes=about.get("minutes"),
        question=about.get("question", ""),
        parameters=_parameters(cells),
        code_cells=sum(cell["cell_type"] == "code" for cell in cells),
    )


def _parameters(cells: list[dict[str, Any]]) -> tuple[str, ...]:
    for cell in cells:
        if has_tag(cell, "parameters"):
            statements = ast.parse(source_of(cell)).body
            assignments = [node for node in statements if isinstance(node, ast.Assign)]
            return tuple(target.id for node in assignments for target in node.targets)
    return ()


def check_parameters(lesson: Lesson, parameters: Mapping[str, Any]) -> None:
    """Raise when a lesson does not have one of the parameters: papermill would only warn."""
    for name in parameters:
        if name not in lesson.parameters:
            known = ", ".join(lesson.parameters) or "none (no cell is tagged `parameters`)"
            raise InputError(f"{lesson.name} has no parameter {name!r}; it has {known}.")
