"""The student edition of the exercises, made from the solved source by nbgrader."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from transferlab.errors import InputError
from transferlab.files import check_writable
from transferlab.kit import notebooks
from transferlab.kit.lessons import EXERCISES

SECRET_REGION = re.compile(
    r"BEGIN (SOLUTION|HIDDEN TESTS|MARK SCHEME)[^\n]*\n(.*?)^[^\n]*END \1", re.DOTALL | re.MULTILINE
)
# nbgrader's own, in the order of its `generate_assignment`
STEPS = ("LockCells", "ClearSolutions", "ClearOutput", "CheckCellMetadata", "ClearHiddenTests")
STEPS += ("ClearMarkScheme", "ComputeChecksums", "CheckCellMetadata")
SHORT = 12  # a line of so few characters, such as `return loss`, gives nothing away


def chapters_with_exercises(solutions: Path, chapters: Iterable[str] = ()) -> list[str]:
    """Return the chapters that have solved exercises; only those asked for, if any are."""
    notebooks.check_folder(solutions, "--solutions")
    found = sorted(path.parent.name for path in solutions.glob(f"*/{EXERCISES}"))
    for chapter in chapters:
        if chapter not in found:
            raise InputError(
                f"{solutions} has no exercises for {chapter!r}; "
                f"there are {', '.join(found) or 'none'}."
            )
    return [chapter for chapter in found if chapter in chapters or not chapters]


def student_edition(solved: Path) -> str:
    """Return the text of the student edition of a solved exercise notebook.

    nbgrader's steps do the work, without its database. (Its command would also empty the
    chapter's folder, where the lessons are.)
    """
    from nbgrader import preprocessors as steps
    from traitlets.config import Config

    config = Config()
    config.ClearSolutions.code_stub = {"python": "# YOUR CODE HERE\nraise NotImplementedError()"}
    notebook = notebooks.clean_notebook(notebooks.read_notebook(solved))
    for name in STEPS:
        try:
            step = getattr(steps, name)(config=config)
            notebook, _ = step.preprocess(notebook, {})
        except Exception as error:  # nbgrader raises many kinds, often a bare RuntimeError
            raise InputError(f"{solved}: nbgrader's {name} says: {error}") from error
    return notebooks.notebook_text(notebook)


def write_exercises(solutions: Path, course: Path, chapters: Sequence[str] = ()) -> list[Path]:
    """Write the student edition of each chapter and return the files.

    What a run leaves behind in the metadata of the solved notebooks is removed.
    """
    notebooks.check_folder(course, "--course")
    chapters = chapters_with_exercises(solutions, chapters)
    for path in [to / chapter / EXERCISES for to in (solutions, course) for chapter in chapters]:
        check_writable(path)
    editions = {chapter: student_edition(solutions / chapter / EXERCISES) for chapter in chapters}
    for chapter, text in editions.items():  # only now that all of them could be made
        solved = solutions / chapter / EXERCISES
        clean = notebooks.clean_notebook(notebooks.read_notebook(solved))
        notebooks.write_text(solved, notebooks.notebook_text(clean))
        notebooks.write_text(course / chapter / EXERCISES, text)
    return [course / chapter / EXERCISES for chapter in chapters]


def stale_exercises(solutions: Path, course: Path, chapters: Sequence[str] = ()) -> list[str]:
    """Return the chapters whose student edition is out of date with its source."""
    stale = []
    for chapter in chapters_with_exercises(solutions, chapters):
        path = course / chapter / EXERCISES
        expected = student_edition(solutions / chapter / EXERCISES)
        if not path.is_file() or path.read_text(encoding="utf-8") != expected:
            stale.append(chapter)
    return stale


def secret_lines(solved: Path) -> set[str]:
    """Return the lines of a solved notebook that no student may see.

    These are the lines of solutions, hidden tests and marking schemes, unless they are too short
    to give anything away or appear openly elsewhere in the same notebook.
    """
    hidden: list[str] = []
    shown: list[str] = []
    for cell in notebooks.read_json(solved)["cells"]:
        source = notebooks.source_of(cell)
        regions = [match.group(2) for match in SECRET_REGION.finditer(source)]
        is_solution = cell["metadata"].get("nbgrader", {}).get("solution", False)
        if is_solution and "BEGIN SOLUTION" not in source:  # nbgrader removes the whole cell
            hidden += source.splitlines()
        else:
            hidden += [line for region in regions for line in region.splitlines()]
            shown += SECRET_REGION.sub("", source).splitlines()
    stripped = {line.strip() for line in hidden} - {line.strip() for line in shown}
    return {line for line in stripped if len(line) > SHORT}
