"""Feedback: one page for each student, from the rebuilt notebook and the record.

A page holds what was handed out, the student's own answers, what became of each, and the teacher's
comments. It holds no hidden test, no solution, nothing of another student's, and no script.
"""

import re
import zipfile
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from transferlab.files import hash_text, written_whole
from transferlab.kit.classroom.collect import CANVAS, MOODLE
from transferlab.kit.classroom.edition import Edition, about
from transferlab.kit.classroom.rebuild import rebuild
from transferlab.kit.classroom.records import Check, Records
from transferlab.kit.classroom.status import Standing
from transferlab.kit.classroom.texts import block, page, rendered
from transferlab.kit.notebooks import source_of, write_text

NAME = "feedback.html"
LONGEST_NAME = 200  # bytes
EARLIEST = (1980, 1, 1, 0, 0, 0)  # the first date a zip file knows: the same bytes every time


def write_feedback(
    records: Records, edition: Edition, found: Sequence[Standing], folder: Path
) -> tuple[list[Path], list[str]]:
    """Write a page for each student whose submission is marked, and a zip file of all of them.

    Moodle takes the zip file as "feedback files", Canvas as "uploaded submissions": both find the
    student by the name that their own download gave the folder or the file.

    Returns:
        The paths of the pages, and the names of the students who have none, with the reason.
    """
    pages: dict[str, str] = {}
    without = []
    for one in found:
        if one.marking is None:
            without.append(f"{one.student.name}: {one.status}")
            continue
        name = _place(one)
        if name in pages:  # never one student's page under the name of another's
            name = f"{_own_folder(one)}/{NAME}"
        pages[name] = feedback_page(records, edition, one)
    for name, text in pages.items():
        write_text(folder / name, text)
    with (
        written_whole(folder.with_name(f"{folder.name}.zip")) as unfinished,
        zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        for name, text in pages.items():
            archive.writestr(zipfile.ZipInfo(name, EARLIEST), text, zipfile.ZIP_DEFLATED)
    return [folder / name for name in pages], without


def _place(one: Standing) -> str:
    """Return the path of a student's page, as the platform's download named what was handed in.

    Only the first parts of a path are the platform's; a student names what lies deeper.
    """
    for part in one.counting.file.split("/")[:2]:
        if len(part.encode()) > LONGEST_NAME:
            break
        if moodle := MOODLE.match(part):
            return f"{moodle[0].removesuffix('_')}_/{NAME}"
        if canvas := CANVAS.match(part):  # Canvas finds student and file by the numbers
            return f"{canvas[0]}{NAME}"
    return f"{_own_folder(one)}/{NAME}"


def _own_folder(one: Standing) -> str:
    """Return a folder's name that no other student's can be, whatever an id looks like."""
    plain = re.sub(r"[^A-Za-z0-9@.-]+|\.{2,}", "_", one.student.id).strip(".")[:60]
    is_plain = plain == one.student.id and plain == plain.lower()
    return plain if is_plain else f"{plain}_{hash_text(one.student.id)[:8]}"


def feedback_page(records: Records, edition: Edition, one: Standing) -> str:
    """Return the page of one student, whose submission is marked."""
    marking = one.marking
    assert marking is not None
    title = source_of(edition.released[0]).partition("\n")[0].lstrip("# ")
    parts = [f"<p>{escape(one.student.name)}</p><p><strong>{escape(_total(one))}</strong></p>"]
    if marking.reason:
        parts.append(block(marking.reason))
    if marking.checks:
        content = records.file_of(one.counting.sha).read_bytes()
        rebuilt = rebuild(content, edition)
        checks = {check.name: check for check in marking.checks}
        parts += _exercises(rebuilt.cells, checks)
        if rebuilt.notes:
            notes = "".join(f"<li>{escape(note)}</li>" for note in rebuilt.notes)
            parts.append(f"<h2>What was different in your file</h2><ul>{notes}</ul>")
    return page(title or edition.chapter, "\n".join(parts))


def _total(one: Standing) -> str:
    marking = one.marking
    assert marking is not None
    worth = sum(check.worth for check in marking.checks)
    if one.points is not None:
        return f"{one.points:g} of {worth:g} points" if worth else f"{one.status}: 0 points"
    left = sum(check.worth for check in one.open)
    if one.status != "graded":
        return f"{one.status}: your teacher has to look at it"
    return f"{marking.points:g} of {worth:g} points so far; {left:g} wait for your teacher"


def _exercises(cells: Sequence[dict], checks: dict[str, Check]) -> Iterator[str]:
    """Yield the text of each exercise, the answer, and what became of its checks."""
    for cell in cells[1:]:
        settings, source = about(cell), source_of(cell)
        if settings.get("solution"):
            yield "<h3>Your answer</h3>"
            yield block(source, "code" if cell["cell_type"] == "code" else "text")
        elif cell["cell_type"] == "markdown":
            yield rendered(source)
        if check := checks.get(settings.get("grade_id", "")):
            yield _verdict(check)


def _verdict(check: Check) -> str:
    if check.points is None:
        said, kind = f"{check.worth:g} points wait for your teacher", ""
    else:
        said = f"{check.status}, {check.points:g} of {check.worth:g} points"
        kind = "passed" if check.points == check.worth else "missed"
    texts = [check.message, f"Your teacher: {check.comment}" if check.comment else ""]
    more = "".join(block(text) for text in texts if text)
    return f'<div class="said {kind}"><p>{escape(f"{check.name}: {said}")}</p>{more}</div>'
