"""Where a class stands: a row for each student and each exercise, in the terminal and as a page."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from transferlab.kit.classroom.edition import Edition, about
from transferlab.kit.classroom.marking import counting
from transferlab.kit.classroom.records import Check, Marking, Records, Submission
from transferlab.kit.classroom.roster import Student

if TYPE_CHECKING:
    from rich.table import Table

NEEDS_A_PERSON = ("timed out", "crashed", "unreadable", "too large", "refused", "not marked")
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{chapter}</title><style>
body {{ font-family: sans-serif; margin: 2em; max-width: 75em }}
table {{ border-collapse: collapse; margin-bottom: 2em }}
th, td {{ border-bottom: 1px solid #bbb; padding: .3em .8em; vertical-align: top }}
</style></head><body><h1>{chapter}</h1><p>{summary}</p>
<h2>Students</h2>{students}<h2>Exercises</h2>{exercises}<h2>Notes</h2>{notes}</body></html>
"""


@dataclass(frozen=True)
class Standing:
    """Where one student stands: what they have handed in, and what became of what counts."""

    student: Student
    submissions: tuple[Submission, ...] = ()
    marking: Marking | None = None

    @property
    def status(self) -> str:
        if not self.submissions:
            return "missing"
        return self.marking.status if self.marking else "not marked"

    @property
    def waiting(self) -> list[Check]:
        """The written answers that wait for a person."""
        return [c for c in self.marking.checks if c.status == "waiting"] if self.marking else []

    @property
    def notes(self) -> list[str]:
        """What the teacher should know: the reason of the status, then what was rebuilt."""
        found = [counting(list(self.submissions)).notes] if self.submissions else []
        if self.marking:
            found += [(self.marking.reason,), self.marking.notes]
            found.append(tuple(f"please look: {flag}" for flag in self.marking.flags))
        return [note for notes in found for note in notes if note]

    @property
    def needs_a_person(self) -> bool:
        flagged = bool(self.marking and self.marking.flags)
        return flagged or self.status in NEEDS_A_PERSON or bool(self.waiting)


def standings(records: Records, chapter: str) -> list[Standing]:
    """Return where every student of the roster stands, in its order."""
    handed_in, found = records.submissions(chapter), []
    for student in records.students():
        submissions = tuple(handed_in.get(student.id, ()))
        marking = records.marking(counting(list(submissions))) if submissions else None
        found.append(Standing(student, submissions, marking))
    return found


# ---- as rows of text -----------------------------------------------------------------------------


def summary(found: Sequence[Standing]) -> str:
    """Return one line: how many of each status, and how many wait for a person."""
    counts = Counter(standing.status for standing in found)
    parts = [f"{count} {status}" for status, count in counts.most_common()]
    if waiting := sum(len(standing.waiting) for standing in found):
        parts.append(f"written answers that wait for a person: {waiting}")
    return f"{len(found)} students: {', '.join(parts)}."


def student_rows(found: Sequence[Standing]) -> list[list[str]]:
    """Return a row for each student, headings first."""
    rows = [["student", "id", "status", "points", "not passed", "notes"]]
    for one in found:
        checks = one.marking.checks if one.marking else ()
        missed = [f"{c.name} ({c.status})" for c in checks if c.status not in ("passed", "waiting")]
        notes = str(len(one.notes) or "")
        points, who = _points(one.marking), [one.student.name, one.student.id]
        rows.append([*who, one.status, points, ", ".join(missed), notes])
    return rows


def _points(marking: Marking | None) -> str:
    if marking is None or not marking.checks:  # nothing that could have been marked
        return "–"
    waiting = sum(check.worth for check in marking.checks if check.points is None)
    decided = sum(check.worth for check in marking.checks) - waiting
    text = f"{marking.points:g} of {decided:g}"
    return f"{text}, {waiting:g} waiting" if waiting else text


def exercise_rows(found: Sequence[Standing], edition: Edition) -> list[list[str]]:
    """Return a row for each check: how many passed, and which messages others got, how often."""
    rows = [["check", "points", "passed", "what the others were told"]]
    by_name: dict[str, list[Check]] = {}
    for standing in found:
        for check in standing.marking.checks if standing.marking else ():
            by_name.setdefault(check.name, []).append(check)
    for cell in edition.graded:
        checks = by_name.get(about(cell)["grade_id"], [])
        passed = sum(check.status == "passed" for check in checks)
        told = Counter(c.message or c.status for c in checks if c.status != "passed")
        share = f"{passed} of {len(checks)}" if cell["cell_type"] == "code" else "by hand"
        messages = "\n".join(f"{count} × {message}" for message, count in told.most_common())
        rows.append([about(cell)["grade_id"], f"{about(cell)['points']:g}", share, messages])
    return rows


def note_rows(found: Sequence[Standing]) -> list[list[str]]:
    """Return a row for each student who has handed in, headings first: which file counts, notes."""
    rows = [["student", "id", "notes"]]
    for one in found:
        if one.submissions:
            counts = counting(list(one.submissions))
            kept = f"{counts.file or 'nothing'}, kept as submissions/{counts.sha[:12]}….ipynb"
            rows.append([one.student.name, one.student.id, "\n".join([kept, *one.notes])])
    return rows


# ---- for people ----------------------------------------------------------------------------------


def table(rows: Sequence[Sequence[str]]) -> "Table":
    """Return rows as a table for the terminal; nothing in a cell is taken for a style."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    made = Table(*rows[0], box=box.SIMPLE, pad_edge=False)
    for row in rows[1:]:
        made.add_row(*map(Text, row))
    return made


def page(found: Sequence[Standing], edition: Edition) -> str:
    """Return a page of HTML without scripts; everything from students is escaped."""
    from html import escape

    from transferlab.files import html_table

    def shown(rows: list[list[str]]) -> str:
        return html_table(rows).replace("\n", "<br>")

    return PAGE.format(
        chapter=escape(edition.chapter),
        summary=escape(summary(found)),
        students=shown(student_rows(found)),
        exercises=shown(exercise_rows(found, edition)),
        notes=shown(note_rows(found)),
    )
