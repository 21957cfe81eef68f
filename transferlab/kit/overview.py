"""The overview of a chapter: a page of text with a map of the lessons, made from the lessons."""

import re
from collections.abc import Iterable
from pathlib import Path

from transferlab.kit import notebooks
from transferlab.kit.lessons import EXERCISES, find_lessons

MAP = "map"  # the tag of the cell that holds the map
POINTS = re.compile(r"\b\d+ points?\b")
HEADER = "| | lesson | question | minutes | the run itself |"
RULE = "| ---: | --- | --- | ---: | ---: |"
MINUTES = re.compile(r"\babout (\d+) minutes\b")

Costs = dict[str, dict[str, float]]  # the ledger: {lesson: {"seconds": …, "peak_mib": …}}


def lesson_map(chapter: Path, costs: Costs) -> str:
    """Return the map of a chapter as a Markdown table: a row per lesson, then the exercises.

    Args:
        chapter: the folder of the chapter.
        costs: the ledger.
    """
    lessons = find_lessons(chapter.parent, [chapter.name])
    rows = [HEADER, RULE]
    total = sum(lesson.minutes for lesson in lessons)
    for lesson in lessons:
        number, seconds = lesson.path.name[:2].lstrip("0"), seconds_text([lesson.name], costs)
        link = f"[{lesson.title}]({lesson.path.name})"
        rows.append(f"| {number} | {link} | {lesson.question} | {lesson.minutes} | {seconds} |")
    if exercises := exercises_of(chapter):
        points, minutes = exercises
        rows.append(f"| | [Exercises](exercises.ipynb) | {points} | {minutes} | |")
        total += minutes
    return "\n".join([*rows, "", f"In all about {total} minutes."])


def seconds_text(names: Iterable[str], costs: Costs) -> str:
    """Return what these lessons take together, such as "41 s"; empty when none was measured."""
    known = [costs[name]["seconds"] for name in names if name in costs]
    return f"{sum(known):.0f} s" if known else ""


def exercises_of(chapter: Path) -> tuple[str, int] | None:
    """Return what the header of a chapter's exercises says, such as ("20 points", 45).

    None when the chapter has no exercises.
    """
    path = chapter / EXERCISES
    if not path.is_file():
        return None
    header = "".join(notebooks.tagged(notebooks.read_json(path), "header"))
    points, minutes = POINTS.search(header), MINUTES.search(header)
    return points[0] if points else "", int(minutes[1]) if minutes else 0
