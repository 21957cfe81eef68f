"""The maps of the course: one per chapter, one in README.md, and the times in TEACHING.md.

The text of these pages is written by hand. Minutes and seconds are not: they come from the lessons
and from the ledger, and are written into the pages whenever these change.
"""

import re
from pathlib import Path

from transferlab.errors import InputError
from transferlab.kit import notebooks
from transferlab.kit.lessons import EXERCISES, OVERVIEW, Lesson, find_lessons
from transferlab.kit.overview import MAP, Costs, exercises_of, lesson_map, seconds_text

STUDENTS, TEACHERS = "README.md", "TEACHING.md"
MAP_BEGINS, MAP_ENDS = "<!-- the map -->", "<!-- end of the map -->"
MAP_HEADER = "| | lesson | minutes | the run itself | you need |"
MAP_RULE = "| ---: | --- | ---: | ---: | --- |"
TIMED = "| minutes | the run itself |"  # a table whose header ends so gets its times filled in
IN_ALL = "| **in all** |"  # the row of such a table that holds the sums
NOTEBOOK_LINK = re.compile(r"\]\(([0-9][0-9]_\w+/\w+\.ipynb)\)")
LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")


def fresh_pages(course: Path, costs: Costs) -> dict[Path, str]:
    """Return the text that each page and overview should have; a missing one is not created.

    Args:
        costs: the ledger.
    """
    pages = {}
    for overview in sorted(course.glob(f"*/{OVERVIEW}")):
        notebook = notebooks.clean_notebook(notebooks.read_notebook(overview))
        for cell in notebook.cells:
            if notebooks.has_tag(cell, MAP):
                cell.source = lesson_map(overview.parent, costs)
        pages[overview] = notebooks.notebook_text(notebook)
    if (students := course / STUDENTS).is_file():
        pages[students] = _with_map(students, course_map(course, costs))
    if (teachers := course / TEACHERS).is_file():
        pages[teachers] = fill_times(teachers.read_text(encoding="utf-8"), course, costs)
    return pages


def write_pages(course: Path, costs: Costs) -> None:
    """Write maps and times into the pages."""
    for path, text in fresh_pages(course, costs).items():
        notebooks.write_text(path, text)


def stale_pages(course: Path, costs: Costs) -> list[str]:
    """Return the names of the pages whose map or times are not those of the lessons."""
    pages = fresh_pages(course, costs)
    stale = [path for path, text in pages.items() if path.read_text(encoding="utf-8") != text]
    return [path.relative_to(course).as_posix() for path in stale]


def course_map(course: Path, costs: Costs) -> str:
    """Return one table per chapter: lesson, minutes, seconds of the run, what it needs."""
    lessons = find_lessons(course)
    parts, total = [], 0
    for chapter in sorted({lesson.path.parent for lesson in lessons}):
        rows, minutes = _chapter_rows([x for x in lessons if x.path.parent == chapter], costs)
        total += minutes
        parts += [f"### {_title(chapter)}", "", MAP_HEADER, MAP_RULE, *rows, ""]
    return "\n".join([*parts, f"In all about {total} minutes, {total / 60:.0f} hours."])


def _chapter_rows(lessons: list[Lesson], costs: Costs) -> tuple[list[str], int]:
    """Return the rows of a chapter and the sum of its minutes."""
    chapter = lessons[0].path.parent
    rows, total = [], 0
    for lesson in lessons:
        number, minutes = lesson.path.name[:2].lstrip("0"), lesson.minutes
        seconds = seconds_text([lesson.name], costs)
        link = f"[{lesson.title}]({lesson.name}.ipynb)"
        rows.append(f"| {number} | {link} | {minutes} | {seconds} | {_needs(lesson.path)} |")
        total += minutes
    if exercises := exercises_of(chapter):
        points, minutes = exercises
        rows.append(f"| | [Exercises]({chapter.name}/{EXERCISES}) | {minutes} | | {points} |")
        total += minutes
    return rows, total


def _title(chapter: Path) -> str:
    """Return the title of a chapter's overview as a link."""
    path = chapter / OVERVIEW
    if not path.is_file():
        return chapter.name
    first = notebooks.source_of(notebooks.read_json(path)["cells"][0]).splitlines()[0]
    return f"[{first.removeprefix('# ')}]({chapter.name}/{OVERVIEW})"


def _needs(lesson: Path) -> str:
    """Return what the lesson's header says after "You need", without its links."""
    for header in notebooks.tagged(notebooks.read_json(lesson), "header"):
        for line in header.splitlines():
            if line.startswith("**You need** "):
                return LINK.sub(r"\1", line.removeprefix("**You need** ")).replace("|", "\\|")
    return ""


def _with_map(path: Path, table: str) -> str:
    """Return the text of a page with a new map between the two marks."""
    before, begins, rest = path.read_text(encoding="utf-8").partition(MAP_BEGINS)
    _, ends, after = rest.partition(MAP_ENDS)
    if not (begins and ends):
        raise InputError(f"{path} has no place for the map: {MAP_BEGINS!r} … {MAP_ENDS!r}.")
    return f"{before}{begins}\n\n{table}\n\n{ends}{after}"


def fill_times(text: str, course: Path, costs: Costs) -> str:
    """Return a page with the minutes and seconds of the lessons that its timed tables link to.

    A row counts each notebook that it links to once. A link to a notebook that does not exist is
    an error: a schedule must not send a class to a page that is not there.
    """
    minutes = {f"{lesson.name}.ipynb": lesson.minutes for lesson in find_lessons(course)}
    for chapter in course.glob("[0-9][0-9]_*"):
        if exercises := exercises_of(chapter):
            minutes[f"{chapter.name}/{EXERCISES}"] = exercises[1]
    lines, timed, listed = [], False, []
    for line in text.splitlines():
        if line.endswith(TIMED):
            timed, listed = True, []
        elif not line.startswith("|"):
            timed = False
        elif timed and (linked := list(dict.fromkeys(NOTEBOOK_LINK.findall(line)))):
            unknown = [name for name in linked if name not in minutes]
            if unknown:
                raise InputError(f"{TEACHERS} links to {unknown[0]}, which is not in {course}.")
            listed += linked
            line = _timed_row(line, linked, minutes, costs)
        elif timed and line.startswith(IN_ALL):
            line = _timed_row(line, listed, minutes, costs)
        lines.append(line)
    return "\n".join(lines) + "\n"


def _timed_row(line: str, linked: list[str], minutes: dict[str, int], costs: Costs) -> str:
    """Return a row of a table with its last two cells rewritten."""
    kept = line.rstrip().removesuffix("|").split("|")[:-2]
    seconds = seconds_text([name.removesuffix(".ipynb") for name in linked], costs)
    return "|".join([*kept, f" {sum(minutes[name] for name in linked)} ", f" {seconds} |"])
