"""Written answers: a table to be filled in, a page to read beside it, and the way into the record.

Names are hidden: an answer has a number that stays the same, and the numbers' order is nobody's.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from transferlab.errors import InputError
from transferlab.kit.classroom.deadlines import counted
from transferlab.kit.classroom.decisions import check_points, decided
from transferlab.kit.classroom.edition import Edition, about
from transferlab.kit.classroom.rebuild import rebuild
from transferlab.kit.classroom.records import Check, Decision, Records, Submission
from transferlab.kit.classroom.roster import read_rows
from transferlab.kit.classroom.texts import (
    block,
    from_cell,
    nobodys_number,
    page,
    rendered,
    several_lines,
    write_sheet,
)
from transferlab.kit.notebooks import source_of, write_text

HEADINGS = ("number", "exercise", "answer", "rubric", "worth", "points", "comment", "before")
HEADINGS += ("given", "said")  # the points and the comment as they were when it was written
SCHEME = re.compile(r"=== BEGIN MARK SCHEME ===\n(.*?)=== END MARK SCHEME ===", re.DOTALL)
LONGEST_CELL = 30_000  # Excel cuts at 32,767


@dataclass(frozen=True)
class Answer:
    """A written answer; `check` holds its worth, and the points and the comment if there are any.

    `before` is what an older submission got, `counts` whether this one is the one that counts.
    """

    number: str
    submission: Submission
    check: Check
    before: str
    counts: bool


def written_answers(records: Records, edition: Edition) -> list[Answer]:
    """Return all written answers of a chapter that were marked, those of one exercise together."""
    found: list[Answer] = []
    counts_of = counted(records, edition.chapter)
    for student, submissions in records.submissions(edition.chapter).items():
        before: dict[str, str] = {}
        for submission in submissions:
            counts = submission == counts_of[student].submission
            for check in _written(records, edition, submission):
                number = nobodys_number(submission.number, submission.sha, check.name)
                earlier = before.get(check.name, "")
                found.append(Answer(number, submission, check, earlier, counts))
                if check.points is not None:
                    before[check.name] = f"{check.points:g} points. {check.comment}".strip()
    order = [about(cell)["grade_id"] for cell in edition.graded]
    return sorted(found, key=lambda answer: (order.index(answer.check.name), answer.number))


def _written(records: Records, edition: Edition, submission: Submission) -> Iterator[Check]:
    marking = records.marking(submission)
    names = {about(cell)["grade_id"] for cell in edition.graded if cell["cell_type"] != "code"}
    for check in decided(marking, records.decisions(submission)).checks if marking else ():
        if check.name in names and check.status in ("waiting", "by hand"):
            yield check


def carry_over(records: Records, edition: Edition) -> int:
    """Let points by hand count for the same answer in a resubmission; return for how many.

    The same means: not a letter differs. Everything else waits for a person.
    """
    earlier: dict[tuple[str, str], Answer] = {}
    carried = []
    answers = written_answers(records, edition)
    for answer in sorted(answers, key=lambda a: (a.submission.collected, a.submission.number)):
        check, where = answer.check, (answer.submission.student, answer.check.name)
        known = earlier.get(where)
        if check.points is not None:
            earlier[where] = answer
        elif known and _text(records, edition, known) == _text(records, edition, answer):
            decision = Decision(check.name, known.check.points, known.check.comment)
            carried.append((answer.submission, decision))
    records.add_decisions(carried)
    return len(carried)


# ---- out -----------------------------------------------------------------------------------------


def write_answers(records: Records, edition: Edition, table: Path) -> list[Answer]:
    """Write the table and, beside it, the page; return the answers that still have no points."""
    if table.exists() and (filled := read_points(records, edition, table)):
        raise InputError(
            f"{table} holds points for {len(filled)} answers that are not in the record; "
            "take them first, with --take."
        )
    answers = [answer for answer in written_answers(records, edition) if answer.counts]
    rows: list[tuple[object, ...]] = [HEADINGS]
    sections = []
    for number, answer in enumerate(answers, start=1):
        check, text = answer.check, _text(records, edition, answer)
        solved = next(c for c in edition.solved if about(c).get("grade_id") == check.name)
        scheme = SCHEME.search(source_of(solved))
        rubric = scheme[1].strip() if scheme else source_of(solved)
        points = "" if check.points is None else f"{check.points:g}"
        shown = several_lines(text, LONGEST_CELL), rubric, f"{check.worth:g}"
        said = points, check.comment, answer.before, points, check.comment
        rows.append((answer.number, check.name, *shown, *said))
        given = f"{points} points. {check.comment}" if points else "no points yet"
        before = f" Before, for an older submission: {answer.before}" * bool(answer.before)
        sections.append(
            f"<h2>{number}. {answer.number}: {check.name}, {check.worth:g} points</h2>"
            f"{block(given + before)}<div class=beside><div><h3>Answer</h3>{block(text)}</div>"
            f"<div><h3>Mark scheme</h3>{rendered(rubric)}</div></div>"
        )
    title = f"{edition.chapter}: written answers"
    write_text(table.with_suffix(".html"), page(title, "".join(sections)))
    write_sheet(table, rows)
    return [answer for answer in answers if answer.check.points is None]


def _text(records: Records, edition: Edition, answer: Answer) -> str:
    cells = rebuild(records.file_of(answer.submission.sha).read_bytes(), edition).cells
    return next(source_of(c) for c in cells if about(c).get("grade_id") == answer.check.name)


# ---- and back ------------------------------------------------------------------------------------


def read_points(
    records: Records, edition: Edition, table: Path
) -> list[tuple[Submission, Decision]]:
    """Return what a filled table says and the record does not know yet.

    A row that is as it was written says nothing: what was given elsewhere since then stays.

    Raises:
        InputError: with a sentence for each faulty row; then nothing of the table is taken.
    """
    answers = {answer.number: answer for answer in written_answers(records, edition)}
    (first, headings), *rows = read_rows(table)
    if missing := {"number", "points", "comment"} - set(headings):
        raise InputError(
            f"{table}, row {first}: there is no column {', '.join(sorted(missing))}; "
            f"expected {', '.join(HEADINGS)}."
        )
    found, faults, seen = [], [], set()
    for row, cells in rows:
        try:
            entry = dict.fromkeys(headings, "") | dict(zip(headings, cells, strict=False))
            number = entry.get("number", "")
            if number in seen:
                raise InputError(f"the number {number} is there twice.")
            seen.add(number)
            if (answer := answers.get(number)) is None:
                raise InputError(f"no answer of this chapter has the number {number!r}.")
            texts = [entry.get(name, "") for name in ("points", "comment", "given")]
            if texts[:2] != [entry.get("given"), entry.get("said")]:  # somebody has touched it
                found += _decision(answer, *texts)
        except InputError as error:
            faults.append(f"{table}, row {row}: {error}")
    if faults:
        raise InputError("\n".join([*faults, "Nothing was taken."]))
    return found


def _decision(
    answer: Answer, points: str, comment: str, given: str
) -> Iterator[tuple[Submission, Decision]]:
    """Yield what a row decides. `given` are the points that were there when it was written."""
    check, comment = answer.check, from_cell(comment)
    if not points:
        if comment or given:
            raise InputError(f"{check.name}: there are no points; a 0 has to be written as 0.")
        return
    try:
        value = float(points.replace(",", "."))
    except ValueError:
        sentence = f"{check.name}: found {points!r}, expected a number such as 2.5."
        raise InputError(sentence) from None
    check_points(check, value)
    if (value, comment) != (check.points, check.comment):
        yield answer.submission, Decision(check.name, value, comment)
