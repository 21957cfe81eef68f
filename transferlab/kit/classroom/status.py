"""Where a class stands: a row for each student and each exercise, in the terminal and as a page."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from transferlab.kit.classroom import texts
from transferlab.kit.classroom.deadlines import Counted, counted
from transferlab.kit.classroom.decisions import decided
from transferlab.kit.classroom.edition import Edition, about
from transferlab.kit.classroom.rebuild import OWN_CELL
from transferlab.kit.classroom.records import Check, Marking, Records, Submission
from transferlab.kit.classroom.roster import Student

if TYPE_CHECKING:
    from rich.table import Table

NEEDS_A_PERSON = ("timed out", "crashed", "unreadable", "too large", "refused", "not marked")
QUIET = ("passed", "waiting", "by hand")  # nothing to be said about it in the table of students


@dataclass(frozen=True)
class Standing:
    """Where one student stands: what they have handed in, and what became of what counts.

    `marking` has the points by hand in it, and withholds those that are flagged. `accepted` says
    that a person has looked at a status such as "timed out".
    """

    student: Student
    submissions: tuple[Submission, ...] = ()
    marking: Marking | None = None
    accepted: bool = False
    counted: Counted | None = None

    @property
    def counting(self) -> Submission:
        """The submission that counts; there must be one."""
        assert self.counted is not None
        return self.counted.submission

    @property
    def status(self) -> str:
        if not self.submissions:
            return "missing"
        return self.marking.status if self.marking else "not marked"

    @property
    def open(self) -> list[Check]:
        """What waits for a person: written answers, and flagged checks."""
        return [c for c in self.marking.checks if c.points is None] if self.marking else []

    @property
    def lacks_a_cell(self) -> bool:
        """Whether an answer uses a cell that was left out, and nobody has looked at that yet."""
        return bool(self.marking and any(OWN_CELL in flag for flag in self.marking.flags))

    @property
    def state(self) -> str:
        """The status; of a graded submission that is not final, why, such as "waiting"."""
        if self.status == "graded" and self.lacks_a_cell:
            return "please look"
        if self.status == "graded":
            return max((check.status for check in self.open), default="graded")
        return f"{self.status}, accepted" if self.accepted else self.status

    @property
    def points(self) -> float | None:
        """The points, as soon as they are final; a missing submission has none, which is not 0."""
        final = self.marking is not None and not self.needs_a_person
        return self.marking.points if self.marking and final else None

    @property
    def late(self) -> str:
        """How late it was handed in; empty when it was in time."""
        return self.counted.late if self.counted else ""

    @property
    def notes(self) -> list[str]:
        """What the teacher should know: the reason of the status, then what was rebuilt."""
        found = [self.counting.notes, (self.late,)] if self.submissions else []
        if self.marking:
            found += [(self.marking.reason,), self.marking.notes]
            found.append(tuple(f"please look: {flag}" for flag in self.marking.flags))
        return [note for notes in found for note in notes if note]

    @property
    def needs_a_person(self) -> bool:
        odd = self.status in NEEDS_A_PERSON and not self.accepted
        return odd or bool(self.open) or self.lacks_a_cell


def standings(records: Records, chapter: str) -> list[Standing]:
    """Return where every student of the roster stands, in its order."""
    handed_in, counts, found = records.submissions(chapter), counted(records, chapter), []
    for student in records.students():
        submissions, one = tuple(handed_in.get(student.id, ())), counts.get(student.id)
        standing = Standing(student, submissions, counted=one)
        if one and (marking := records.marking(one.submission)):
            said = records.decisions(one.submission)
            accepted = any(marking.status in decision.released for decision in said)
            marking = decided(one.laid_over(marking), said)
            standing = replace(standing, marking=marking, accepted=accepted)
        found.append(standing)
    return found


# ---- as rows of text -----------------------------------------------------------------------------


def summary(found: Sequence[Standing]) -> str:
    """Return one line: how many of each status, and how many wait for a person."""
    counts = Counter(standing.status for standing in found)
    parts = [f"{count} {status}" for status, count in counts.most_common()]
    waiting = Counter(check.status for standing in found for check in standing.open)
    if waiting["waiting"]:
        parts.append(f"written answers that wait for a person: {waiting['waiting']}")
    if waiting["withheld"]:
        parts.append(f"flagged checks whose points are withheld: {waiting['withheld']}")
    if lacking := sum(standing.lacks_a_cell for standing in found):
        parts.append(f"answers that use a cell which was left out, please look: {lacking}")
    if late := sum(bool(one.late) for one in found):
        parts.append(f"late or not known: {late}")
    if again := sum(len(one.submissions) > 1 for one in found):
        parts.append(f"resubmitted: {again}")
    text = f"{len(found)} students: {', '.join(parts)}."
    marked = [one.marking for one in found if one.marking and one.marking.memory]
    if not marked:
        return text
    most = max(marking.memory for marking in marked) / 2**20
    names = ", ".join(sorted({marking.sandbox for marking in marked}))
    return f"{text} Sandbox: {names}; at most {most:.0f} MiB."


def student_rows(found: Sequence[Standing]) -> list[list[str]]:
    """Return a row for each student, headings first."""
    late = any(one.late for one in found)
    rows = [["student", "id", "status", "points", "not passed", *["late"] * late, "notes"]]
    for one in found:
        checks = one.marking.checks if one.marking else ()
        missed = [f"{c.name} ({c.status})" for c in checks if c.status not in QUIET]
        notes = str(len(one.notes) or "")
        points, who = _points(one.marking), [one.student.name, one.student.id]
        state = one.state if one.accepted or one.lacks_a_cell else one.status
        rows.append([*who, state, points, ", ".join(missed), *[one.late] * late, notes])
    return rows


def _points(marking: Marking | None) -> str:
    if marking is None or not marking.checks:  # nothing that could have been marked
        return "–"
    worth: Counter[str] = Counter()
    for check in marking.checks:
        worth[check.status if check.points is None else ""] += check.worth
    text = f"{marking.points:g} of {worth.pop('', 0):g}"
    return ", ".join([text, *(f"{points:g} {status}" for status, points in worth.items())])


def exercise_rows(found: Sequence[Standing], edition: Edition) -> list[list[str]]:
    """Return a row for each check: how many passed, and which messages others got, how often."""
    rows = [["check", "points", "judged by", "passed", "what the others were told"]]
    by_name: dict[str, list[Check]] = {}
    for standing in found:
        for check in standing.marking.checks if standing.marking else ():
            by_name.setdefault(check.name, []).append(check)
    for cell in edition.graded:
        checks = by_name.get(about(cell)["grade_id"], [])
        passed = sum(check.status == "passed" for check in checks)
        told = Counter(c.message or c.status for c in checks if c.status != "passed")
        by_machine = cell["cell_type"] == "code"
        share = f"{passed} of {len(checks)}" if by_machine else ""
        messages = "\n".join(f"{count} × {message}" for message, count in told.most_common())
        name = about(cell)["grade_id"]
        by_value = edition.exercise_of(name) in edition.by_value
        judge = ("value" if by_value else "property") if by_machine else "a person"
        rows.append([name, f"{about(cell)['points']:g}", judge, share, messages])
    return rows


def note_rows(found: Sequence[Standing]) -> list[list[str]]:
    """Return a row for each student who has handed in, headings first: which file counts, notes."""
    rows = [["student", "id", "notes"]]
    for one in found:
        if one.submissions:
            sha = one.counting.sha[:12]
            kept = f"{one.counting.file or 'nothing'}, kept as submissions/{sha}….ipynb"
            rows.append([one.student.name, one.student.id, "\n".join([kept, *one.notes])])
    return rows


# ---- for people ----------------------------------------------------------------------------------


def table(rows: Sequence[Sequence[str]]) -> "Table":
    """Return rows as a table for the terminal; nothing in a cell is taken for a style."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    made = Table(box=box.SIMPLE, pad_edge=False)
    for heading in rows[0]:
        made.add_column(heading, overflow="fold")  # never cut
    for row in rows[1:]:
        made.add_row(*map(Text, row))
    return made


def page(found: Sequence[Standing], edition: Edition) -> str:
    """Return a page of HTML without scripts; everything from students is escaped."""
    from html import escape

    from transferlab.files import html_table

    def shown(rows: list[list[str]]) -> str:
        return html_table(rows).replace("\n", "<br>")

    parts = [f"<p>{escape(summary(found))}</p>", "<h2>Students</h2>", shown(student_rows(found))]
    parts += ["<h2>Exercises</h2>", shown(exercise_rows(found, edition))]
    parts += ["<h2>Notes</h2>", shown(note_rows(found))]
    return texts.page(edition.chapter, "".join(parts))
