"""The way to nbgrader's formgrader and back: a folder with a course of nbgrader's for one chapter.

What stands in a notebook runs in the browser of whoever opens it there. So this folder holds the
rebuilt notebooks only, without outputs, and what students have written is in it letter by letter.
Names are hidden: a student is a number.
"""

import copy
import os
import shutil
import sys
import textwrap
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from transferlab.errors import InputError
from transferlab.kit.classroom.deadlines import counted
from transferlab.kit.classroom.decisions import check_points, decided
from transferlab.kit.classroom.edition import Cell, Edition, about
from transferlab.kit.classroom.rebuild import rebuild
from transferlab.kit.classroom.records import Decision, Marking, Records, Submission
from transferlab.kit.classroom.texts import nobodys_number, several_lines
from transferlab.kit.notebooks import KERNEL, notebook_text, source_of, write_text

if TYPE_CHECKING:
    from nbgrader.api import Gradebook

NOTEBOOK, GRADEBOOK = "exercises", "gradebook.db"
CONFIG = 'c = get_config()\nc.CourseDirectory.course_id = "class"\n'


def write_course(records: Records, edition: Edition, folder: Path) -> int:
    """Write the folder, anew; return how many submissions are in it."""
    if (folder / GRADEBOOK).exists():
        if given := read_course(records, edition, folder):
            raise InputError(
                f"{folder} holds points for {len(given)} answers that are not in the record; "
                "take them first, with --take."
            )
        (folder / GRADEBOOK).unlink()
    found = _marked(records, edition)
    write_text(folder / "nbgrader_config.py", CONFIG)
    with _opened(folder) as book, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of SQLAlchemy, about nbgrader's own code
        _add_chapter(book, edition)
        for number, (submission, marking) in found.items():
            content = records.file_of(submission.sha).read_bytes()
            cells = [_harmless(cell) for cell in rebuild(content, edition).cells]
            path = folder / "autograded" / number / edition.chapter / f"{NOTEBOOK}.ipynb"
            write_text(path, _notebook_of(cells))
            _add_submission(book, edition.chapter, number, marking)
        book.db.commit()
    return len(found)


def read_course(
    records: Records, edition: Edition, folder: Path
) -> list[tuple[Submission, Decision]]:
    """Return the points by hand and comments that were given there and the record lacks.

    Raises:
        InputError: points that are impossible, with a sentence for each; then nothing is taken.
    """
    if not (folder / GRADEBOOK).is_file():
        raise InputError(f"{folder} holds no {GRADEBOOK}; write the folder with --formgrader.")
    found, faults = [], []
    with _opened(folder) as book:
        for number, (submission, marking) in _marked(records, edition).items():
            try:
                new = _given(book, edition, number, marking)
                found += [(submission, decision) for decision in new]
            except InputError as error:
                faults.append(f"{folder}, {number}: {error}")
    if faults:
        raise InputError("\n".join([*faults, "Nothing was taken."]))
    return found


def _marked(records: Records, edition: Edition) -> dict[str, tuple[Submission, Marking]]:
    """Return what counts and could be marked, as decided so far, by a number that is nobody's."""
    found = {}
    for one in counted(records, edition.chapter).values():
        submission, marking = one.submission, records.marking(one.submission)
        if marking and marking.checks:
            number = nobodys_number(submission.number, submission.sha)
            found[number] = submission, decided(marking, records.decisions(submission))
    return dict(sorted(found.items()))


def _opened(folder: Path) -> "Gradebook":
    from nbgrader.api import Gradebook

    if not shutil.which("alembic"):  # nbgrader calls it by this name, in an environment or not
        os.environ["PATH"] += f"{os.pathsep}{Path(sys.executable).parent}"
    return Gradebook(f"sqlite:///{(folder / GRADEBOOK).resolve()}", "class")


def _add_chapter(book: "Gradebook", edition: Edition) -> None:
    book.add_assignment(edition.chapter)
    book.add_notebook(NOTEBOOK, edition.chapter)
    where = NOTEBOOK, edition.chapter
    for cell in edition.graded:
        entry, kind = about(cell), cell["cell_type"]
        worth = float(entry["points"])
        book.add_grade_cell(entry["grade_id"], *where, max_score=worth, cell_type=kind)
    for cell in edition.solved:
        if about(cell).get("solution"):
            book.add_solution_cell(about(cell)["grade_id"], *where)


def _add_submission(book: "Gradebook", chapter: str, number: str, marking: Marking) -> None:
    book.add_student(number)
    book.add_submission(chapter, number)
    for check in marking.checks:
        grade = book.find_grade(check.name, NOTEBOOK, chapter, number)
        grade.auto_score = check.points  # tells later whether somebody has changed the other
        grade.manual_score = check.points if check.status == "by hand" else None
        grade.needs_manual_grade = check.points is None


def _given(
    book: "Gradebook", edition: Edition, number: str, marking: Marking
) -> Iterator[Decision]:
    where = NOTEBOOK, edition.chapter, number
    for check in marking.checks:
        grade = book.find_grade(check.name, *where)
        said = book.find_comment(edition.exercise_of(check.name), *where).comment or ""
        was = grade.auto_score, ""
        if grade.manual_score is None or (grade.manual_score, said) == was:
            continue  # nobody has touched it; what was given elsewhere since then stays
        points, said = grade.manual_score + (grade.extra_credit or 0.0), said or check.comment
        check_points(check, points)
        if (points, said) != (check.points, check.comment):
            yield Decision(check.name, points, said)


def _harmless(cell: Cell) -> Cell:
    """Return a cell that runs nothing; an answer in words is indented, so it is shown as it is."""
    cell = copy.deepcopy(cell)
    if about(cell).get("solution"):
        text = several_lines(source_of(cell))
        is_words = cell["cell_type"] == "markdown"
        cell["source"] = textwrap.indent(text, "    ", lambda _: True) if is_words else text
    if cell["cell_type"] == "code":
        cell |= {"outputs": [], "execution_count": None}
    cell.pop("attachments", None)
    return cell


def _notebook_of(cells: list[Cell]) -> str:
    import nbformat

    metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    notebook = {"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": cells}
    return notebook_text(nbformat.from_dict(notebook))
