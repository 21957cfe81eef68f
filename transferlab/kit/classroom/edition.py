"""The exercises of a chapter as the marking needs them: the released and the solved edition."""

import json
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from transferlab.errors import InputError
from transferlab.files import hash_text
from transferlab.kit.exercises import EXERCISES, chapters_with_exercises, stale_exercises
from transferlab.kit.notebooks import read_json, source_of

Cell = dict[str, Any]
JUDGE = "judge.py"


def about(cell: Cell) -> dict[str, Any]:
    """Return nbgrader's metadata of a cell of ours, empty when it has none."""
    return cell["metadata"].get("nbgrader", {})


@dataclass(frozen=True)
class Edition:
    """The released and the solved notebook of a chapter; their cells correspond one to one."""

    chapter: str
    released: list[Cell]
    solved: list[Cell]
    judge: str = ""  # the source of its judge part: see `judging`

    @cached_property
    def grade_ids(self) -> list[str]:
        """The names of all cells that nbgrader knows."""
        return [about(cell)["grade_id"] for cell in self.released if about(cell)]

    @cached_property
    def by_value(self) -> frozenset[str]:
        """The names of the exercises that the judge part calls with inputs of its own."""
        return frozenset(re.findall(r"^def (\w+)", self.judge, re.MULTILINE))

    @cached_property
    def graded(self) -> list[Cell]:
        """The solved cells that have points: checks, and what a person marks."""
        return [cell for cell in self.solved if about(cell).get("grade") or about(cell).get("task")]

    @cached_property
    def source_hash(self) -> str:
        """The SHA-256 of what decides about points: code, points, names; not of the prose."""
        deciding = [
            (source_of(cell) if cell["cell_type"] == "code" else "", about(cell))
            for cell in self.solved
            if cell["cell_type"] == "code" or about(cell)
        ]
        return hash_text(json.dumps([*deciding, self.judge], sort_keys=True))

    def exercise_of(self, grade_id: str) -> str:
        """Return the name of the answer that a check checks: the last one above it."""
        answer = grade_id
        for cell in self.solved:
            name = about(cell).get("grade_id")
            if about(cell).get("solution") or about(cell).get("task"):
                answer = name
            if name == grade_id:
                break
        return answer


def read_edition(course: Path, solutions: Path, chapter: str) -> Edition:
    """Return the edition of a chapter."""
    chapters_with_exercises(solutions, [chapter])  # raises when the chapter has none
    files = (folder / chapter / EXERCISES for folder in (course, solutions))
    released, solved = (read_json(file)["cells"] for file in files)
    judge = solutions / chapter / JUDGE
    return Edition(chapter, released, solved, judge.read_text("utf-8") if judge.is_file() else "")


def check_fresh(course: Path, solutions: Path, chapter: str) -> None:
    """Raise when the released edition is not what its source gives; that takes some seconds."""
    if stale_exercises(solutions, course, [chapter]):
        raise InputError(
            f"{course / chapter / EXERCISES} is not up to date with its source; "
            "run `transferlab exercises` first."
        )
