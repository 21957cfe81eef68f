"""What each lesson costs: measured once, kept in one file, shown in every lesson's header."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transferlab.errors import InputError
from transferlab.files import check_writable
from transferlab.kit import notebooks
from transferlab.kit.lessons import LESSONS, find_lessons, reading_minutes
from transferlab.kit.pages import write_pages
from transferlab.kit.results import Result, gib

if TYPE_CHECKING:
    from nbformat import NotebookNode

THREADS = 2  # the course promises its times for two cores
BEGINNING = "Reading and running:"

Ledger = dict[str, dict[str, float]]


def read_ledger(course: Path) -> Ledger:
    """Return {lesson: {"seconds": …, "peak_mib": …}}; empty when nothing has been measured yet."""
    path = course / "ledger.json"
    if not path.is_file():
        return {}
    try:
        ledger = json.loads(path.read_text(encoding="utf-8"))
        return {
            name: {k: float(entry[k]) for k in ("seconds", "peak_mib")}
            for name, entry in ledger.items()
        }
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"{path} is damaged; delete it and run `transferlab ledger`.") from error


def update_ledger(course: Path, patterns: Iterable[str], build: Path) -> list[Result]:
    """Run lessons alone, and write their cost, headers, outputs and maps into the course.

    Nothing is written when a lesson fails: a header must not describe a run that went wrong.
    """
    from transferlab.kit.run import run_lessons

    lessons = find_lessons(course, patterns)
    for path in (course / "ledger.json", *(lesson.path for lesson in lessons)):
        check_writable(path)  # now, and not after the minutes of a run
    ledger = read_ledger(course)
    usual = {name: entry["seconds"] for name, entry in ledger.items()}
    results = run_lessons(
        lessons, "class", "cpu", jobs=1, threads=THREADS, build=build, usual_seconds=usual
    )
    for result in results:
        if result.status == "failed":
            raise InputError(
                f"the ledger stays as it was, because {result.lesson.name} failed: {result.error}"
            )
        ledger[result.lesson.name] = {
            "seconds": round(result.seconds, 1),
            "peak_mib": round(result.peak_mib),
        }
    for result in results:
        notebook = notebooks.clean_notebook(notebooks.read_notebook(result.notebook))
        write_header(notebook, ledger[result.lesson.name])
        notebooks.write_text(result.lesson.path, notebooks.notebook_text(notebook))
    present = {f"{path.parent.name}/{path.stem}" for path in course.glob(LESSONS)}
    kept = {name: ledger[name] for name in sorted(ledger) if name in present}
    notebooks.write_text(course / "ledger.json", json.dumps(kept, indent=1) + "\n")
    write_pages(course, kept)
    return results


def header_line(minutes: int, cost: dict[str, float] | None) -> str:
    """Return the last line of a lesson's header.

    Args:
        minutes: what a student needs for reading.
        cost: the lesson's entry in the ledger, or None when it has not been measured yet.
    """
    parts = [f"{BEGINNING} about {minutes} minutes"]
    if cost:
        seconds, memory = f"{cost['seconds']:.0f} s", gib(cost["peak_mib"])
        parts.append(f"the run itself: {seconds}, {memory} in `class` ({THREADS} cores)")
    return " · ".join(parts)


def write_header(notebook: "NotebookNode", cost: dict[str, float] | None) -> None:
    """Replace or add the last line of the cell tagged `header`."""
    minutes = reading_minutes(notebook.cells)
    for cell in notebook.cells:
        if notebooks.has_tag(cell, "header"):
            lines = cell.source.rstrip().splitlines()
            if lines and lines[-1].startswith(BEGINNING):
                lines.pop()
            else:
                lines.append("")
            cell.source = "\n".join([*lines, header_line(minutes, cost)])


def stale_headers(course: Path) -> list[str]:
    """Return the lessons whose header does not say what the ledger says."""
    ledger = read_ledger(course)
    return [
        lesson.name
        for lesson in find_lessons(course)
        if _last_header_line(notebooks.read_json(lesson.path))
        != header_line(lesson.minutes, ledger.get(lesson.name))
    ]


def _last_header_line(notebook: dict[str, Any]) -> str:
    headers = notebooks.tagged(notebook, "header")
    return headers[0].splitlines()[-1] if headers and headers[0] else ""
