"""Due dates and late days, and which of a student's submissions counts.

When something was handed in, the platform says; a student's file is never asked. What comes later
than a student's late days allow gives no points until a person accepts it.
"""

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, time
from pathlib import Path

from dateutil import parser

from transferlab.errors import InputError
from transferlab.kit.classroom.collect import CANVAS
from transferlab.kit.classroom.decisions import decided
from transferlab.kit.classroom.records import Marking, Records, Submission
from transferlab.kit.classroom.roster import COLUMNS, Student, read_rows, student_in

LATE_DAYS = "late days"  # the setting of the class; those of chapters have the chapter's name
POLICIES = ("last", "best")
DAY = 24 * 60 * 60  # seconds
# What a table may call the time: Moodle's grading worksheet, and one of your own.
TIMES = ("last modified (submission)", "zuletzt geändert (abgabe)", "handed in", "submitted at")
NUMBERS = re.compile(r"\b(\d{1,2})([/.-])(\d{1,2})\2\d{2,4}\b")  # 05/12/2026
GERMAN = (
    *("Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag", "Sonntag"),
    *("Januar", "Februar", "März", "April", "Mai", "Juni"),
    *("Juli", "August", "September", "Oktober", "November", "Dezember"),
)


class Words(parser.parserinfo):
    """The words of dates: "Tuesday, 1 December 2026, 9:40 AM", "Dienstag, 1. Dezember 2026"."""

    JUMP = (*parser.parserinfo.JUMP, "um", "uhr")
    WEEKDAYS = tuple(
        (*names, german, german[:2])
        for names, german in zip(parser.parserinfo.WEEKDAYS, GERMAN[:7], strict=True)
    )
    MONTHS = tuple(
        (*names, german, german[:3])
        for names, german in zip(parser.parserinfo.MONTHS, GERMAN[7:], strict=True)
    )


@dataclass(frozen=True)
class Rules:
    """What holds for a chapter.

    `due` is in seconds since 1970, None without a date; `grace` are minutes that do not count;
    `counts` is "last" or "best".
    """

    due: float | None = None
    grace: float = 0.0
    counts: str = "last"

    def __str__(self) -> str:
        if self.due is None:
            return f"no due date; the {self.counts} submission counts"
        due = f"{datetime.fromtimestamp(self.due):%A, %d %B %Y, %H:%M}"
        grace = f" and {self.grace:g} minutes" * bool(self.grace)
        return f"due {due}{grace}; the {self.counts} submission counts"


@dataclass(frozen=True)
class Counted:
    """The submission that counts, and how late it is: days, begun ones too, and in words.

    `too_late` says that its student has not so many late days left.
    """

    submission: Submission
    days: int = 0
    late: str = ""
    too_late: bool = False

    def laid_over(self, marking: Marking) -> Marking:
        """Return a marking with a flag when the submission came too late."""
        flag = f"it was handed in too late: {self.late}"
        return replace(marking, flags=(*marking.flags, flag)) if self.too_late else marking


def read_time(text: str) -> float:
    """Return a moment in seconds since 1970; a day without a time means its end, here."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(f"{text!r} is no date; expected such as 2026-12-01T23:59.") from None
    return (datetime.combine(moment, time.max) if len(text) <= 10 else moment).timestamp()


def read_times(table: Path, students: Sequence[Student]) -> dict[str, float]:
    """Return when each student handed in, by id, from a CSV file of the platform's."""
    (first, headings), *rows = read_rows(table)
    names = [name.casefold() for name in headings]
    if not (columns := [n for n, name in enumerate(names) if name in TIMES]):
        raise InputError(f"{table}, row {first}: no column says when; expected {', '.join(TIMES)}.")
    who = [n for kind in ("id", "email", "name") for n, c in enumerate(names) if c in COLUMNS[kind]]
    rows = [(row, cells) for row, cells in rows if cells[columns[0] : columns[0] + 1]]
    orders = filter(None, (_orders(cells[columns[0]]) for _, cells in rows))
    in_all = {True, False}.intersection(*orders)
    found: dict[str, float] = {}
    for row, cells in rows:
        text = cells[columns[0]]
        meant = student_in(students, (cells[n] for n in who))
        if meant and text.strip(" -"):
            found[meant.id] = _read(text, in_all, f"{table}, row {row}")
    return found


def _orders(text: str) -> set[bool]:
    """Return whether the day can come first in a date in numbers: True, False, or both.

    Nothing is returned of other dates, and of 05/05/2026. Before a point stands the day.
    """
    found = NUMBERS.search(text)
    if not found or found[1] == found[3]:
        return set()
    if found[2] == ".":
        return {True}
    return {first for first in (True, False) if int(found[3 if first else 1]) <= 12}


def _read(text: str, in_all: set[bool], where: str) -> float:
    """Return the moment that a text names; `in_all` is what all dates of its table can be."""
    orders = (found := _orders(text)) & in_all or found
    try:
        day, month = (parser.parse(text, Words(dayfirst=first)) for first in (True, False))
    except (ValueError, OverflowError):
        raise InputError(f"{where}: {text!r} is no date.") from None
    if len(orders) == 2:
        both = f"{day.day} {day:%B} or {month.day} {month:%B}"
        raise InputError(f"{where}: {text} is {both}; write {day:%Y-%m-%d}.")
    return (day if True in orders else month).timestamp()


# ---- what holds, and what counts -----------------------------------------------------------------


def rules_of(records: Records, chapter: str) -> Rules:
    """Return the rules of a chapter."""
    return Rules(**records.settings().get(chapter, {}))


def set_rules(records: Records, chapter: str, rules: Rules) -> None:
    """Keep the rules of a chapter."""
    if rules.counts not in POLICIES:
        raise InputError(f"{rules.counts!r} cannot count; expected one of {', '.join(POLICIES)}.")
    records.set(chapter, asdict(rules))


def candidates(records: Records, chapter: str) -> Iterable[Submission]:
    """Return the submissions that have to be marked: one for each student, or all for "best"."""
    if rules_of(records, chapter).counts == "best":
        return [one for found in records.submissions(chapter).values() for one in _taken(found)]
    return [one.submission for one in counted(records, chapter).values()]


def counted(records: Records, chapter: str) -> dict[str, Counted]:
    """Return the submission that counts of each student who has handed in.

    Late days are used up in the order of the due dates.
    """
    settings = records.settings()
    allowed = settings.pop(LATE_DAYS, {}).get("days", 0)
    rules = {name: Rules(**values) for name, values in settings.items()}
    now = rules.get(chapter, Rules())
    due = {name: one.due for name, one in rules.items() if one.due is not None}
    earlier = [n for n in sorted(due, key=due.__getitem__) if now.due and due[n] < now.due]
    left: dict[str, int] = defaultdict(lambda: allowed)
    for name in earlier if allowed else ():
        for student, one in _counted(records, name, rules[name], left).items():
            left[student] -= 0 if one.too_late else one.days
    return _counted(records, chapter, now, left)


def _counted(
    records: Records, chapter: str, rules: Rules, left: defaultdict[str, int]
) -> dict[str, Counted]:
    found = {}
    for student, submissions in records.submissions(chapter).items():
        all_of_them = [_timed(one, rules, left[student]) for one in _taken(submissions)]
        possible = [one for one in all_of_them if not one.too_late] or all_of_them
        if rules.counts == "best":  # of equal ones the newest
            possible.sort(key=lambda one: _points(records, one.submission))
        found[student] = possible[-1]
    return found


def _taken(submissions: Sequence[Submission]) -> list[Submission]:
    """Return those that were taken, else the newest, in the order of collecting."""
    taken = [found for found in submissions if found.status == "collected"]
    return taken or [submissions[-1]]


def _timed(submission: Submission, rules: Rules, left: int) -> Counted:
    """Return how late a submission is. What was collected before the due date was in time.

    Nobody forges a commit to be late: one that is, was handed in then. An early date says nothing.
    """
    canvas = [CANVAS.match(part) for part in submission.file.split("/")[:2]]
    platform_says_late = any(found and found["late"] for found in canvas)
    if rules.due is None:
        return Counted(submission, late="late" * platform_says_late)
    end, committed = rules.due + rules.grace * 60, submission.committed
    when, known = submission.handed_in, submission.handed_in is not None
    if when is None:
        known = bool(committed and committed > end)
        when = min(submission.collected, committed) if known else submission.collected
    days = max(0, math.ceil((when - end) / DAY))
    if days == 0:
        return Counted(submission)
    if known:
        late = f"{days} day{'s' * (days > 1)} late, {left} left"
        return Counted(submission, days, late, days > left)
    if platform_says_late:
        return Counted(submission, 0, "late, nobody knows how much", too_late=True)
    return Counted(submission, late="time not known")


def _points(records: Records, submission: Submission) -> float:
    marking = records.marking(submission)
    return decided(marking, records.decisions(submission)).points if marking else -1.0
