"""Export: grades as a table of our own, or filled into the file that Moodle or Canvas has exported.

A grade is written when it is final. "missing", "not marked", "waiting" and "withheld" are no grade,
and never a 0: the cell stays as it is.
"""

import json
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transferlab.errors import InputError
from transferlab.kit.classroom.edition import Edition, about
from transferlab.kit.classroom.roster import COLUMNS, find_students, letters_of
from transferlab.kit.classroom.status import Standing
from transferlab.kit.classroom.texts import write_sheet
from transferlab.kit.notebooks import write_text

# What tells whose row it is: what a roster has, and Canvas' other columns.
WHO = {name for kind in ("id", "name", "email") for name in COLUMNS[kind]}
WHO |= {"sis user id", "sis login id"}
POSSIBLE = "Points Possible"  # a row of Canvas'
# Columns of Moodle's, in small letters: in its worksheet of one assignment and nowhere else; the
# grades there; to how much they count.
WORKSHEET, GRADES = ("identifier", "bestwertung"), ("grade", "bewertung")
MAXIMUM = ("maximum grade", "bestwertung")
EXCUSED = "EX"  # in a cell of Canvas: it stays
NEW = ", new"  # behind the heading of the grades
NOT_OURS, NOT_THERE = "in the file, but not in the class", "a grade, but not in the file"


def worth_of(edition: Edition) -> float:
    """Return how many points a chapter has."""
    return sum(float(about(cell)["points"]) for cell in edition.graded)


def write_grades(found: Sequence[Standing], edition: Edition, to: Path) -> None:
    """Write a row for each student: a CSV file, or JSON when the name ends so."""
    names, rows = [about(cell)["grade_id"] for cell in edition.graded], []
    for one in found:
        checks = {check.name: check.points for check in one.marking.checks} if one.marking else {}
        row: dict[str, Any] = {"id": one.student.id, "name": one.student.name, "status": one.state}
        row |= {"late": one.late, "points": one.points, "worth": worth_of(edition)}
        rows.append(row | {name: checks.get(name) for name in names})
    if to.suffix.lower() == ".json":
        write_text(to, json.dumps(rows, indent=1, ensure_ascii=False) + "\n")
    elif to.suffix.lower() == ".csv":
        write_sheet(to, [list(rows[0]), *(list(map(_shown, row.values())) for row in rows)])
    else:
        raise InputError(f"{to} has an unknown ending; expected .csv or .json.")


def _shown(value: str | float | None) -> str:
    return "" if value is None else value if isinstance(value, str) else f"{value:g}"


# ---- the platform's own file ---------------------------------------------------------------------


@dataclass(frozen=True)
class Cell:
    """A cell of a CSV file, and where it stands in the file's text."""

    text: str
    start: int
    end: int


def fill_in(
    found: Sequence[Standing], edition: Edition, file: Path, column: str = ""
) -> tuple[bytes, dict[str, list[str]]]:
    """Return a file's bytes with the grades in it, and lines to be shown, under headings.

    Bytes outside the cells with a new grade are as they were.

    Args:
        column: the heading of the grades; by default Moodle's "Grade", or the one that has the
            chapter's name in it.

    Raises:
        InputError: the file or the column cannot be what is meant.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}.") from error
    try:
        encoding, text = "utf-8", content.decode()
    except UnicodeDecodeError:  # Excel on Windows; this gives back every byte
        encoding, text = "latin-1", content.decode("latin-1")
    heading, *rows = _cells(text, file)
    names = [cell.text.strip("\ufeff ") for cell in heading]
    place = _column(names, edition.chapter, column, file)
    rows = [row for row in rows if len(row) > place]
    _check_maximum(names, rows, place, worth_of(edition), file)
    left = {one.student: one for one in found}
    lines: dict[str, list[str]] = defaultdict(list)
    parts, position = [], 0
    for row in rows:
        shown = ", ".join(cell.text.strip() for cell in row[:3])
        if row[0].text.strip() == POSSIBLE:
            continue
        if (one := _whose(names, row, found)) is None:
            lines[NOT_OURS].append(shown)
            continue
        if left.pop(one.student, None) is None:
            raise InputError(f"{file} has two rows for {one.student.name}; one is {shown}.")
        cell, grade = row[place], _shown(one.points)
        if not grade or cell.text == EXCUSED:
            lines["stays as it is"].append(f"{one.student.name}: {one.state}")
        elif _number(cell.text) != one.points:
            before = cell.text.strip() or "empty"
            lines[names[place] + NEW].append(f"{one.student.name}: {before} → {grade}")
            quote = '"' * text[cell.start : cell.end].startswith('"')
            parts += [text[position : cell.start], quote, grade, quote]
            position = cell.end
    lines[NOT_THERE] = [one.student.name for one in left.values() if one.points is not None]
    return "".join([*parts, text[position:]]).encode(encoding), lines


def _cells(text: str, file: Path) -> list[list[Cell]]:
    """Return the rows of a CSV file, each cell with its place."""
    first = text.partition("\n")[0]
    comma = max(",;\t", key=first.count)
    pattern = re.compile(rf' *("(?:[^"]|"")*"|[^"\r\n{comma}][^\r\n{comma}]*|)({comma}|\r?\n|\r|$)')
    rows, position = [[]], int(text.startswith("\ufeff"))
    while match := pattern.match(text, position):
        shown = match[1][1:-1].replace('""', '"') if match[1].startswith('"') else match[1]
        rows[-1].append(Cell(shown, *match.span(1)))
        position = match.end()
        if position == len(text) and match[2] != comma:
            return rows
        if match[2] != comma:
            rows.append([])
    raise InputError(f"{file}, row {len(rows)}: this is no CSV; a quote is out of place.")


def _column(names: list[str], chapter: str, wanted: str, file: Path) -> int:
    """Return where the grades stand: the column that is named, or the only one that can be meant.

    Canvas writes a number behind an assignment's name, Moodle's gradebook "Assignment: … (Real)",
    in German "Aufgabe: … (Punkte)".
    """
    plain = [re.sub(r"^\w+: | \((?:\d+|Real|Punkte)\)$", "", name) for name in names]
    found = [n for n, name in enumerate(names) if wanted and wanted in (name, plain[n])]
    small = [name.casefold() for name in names]
    grades = [n for n, name in enumerate(small) if name in GRADES]
    if not wanted and grades and set(WORKSHEET) & set(small):
        found = grades
    elif not wanted:
        word = letters_of(chapter.lstrip("0123456789")) or chapter
        found = [n for n, name in enumerate(names) if word in letters_of(name)]
    if len(found) != 1:
        raise InputError(
            f"{file} has {len(found) or 'no'} columns of the name {wanted or chapter!r}; name one "
            f"with --column: {'; '.join(filter(None, names))}."
        )
    return found[0]


def _check_maximum(
    names: list[str], rows: list[list[Cell]], place: int, worth: float, file: Path
) -> None:
    """Raise when the column counts to another number than the chapter, or cannot be changed."""
    places = [n for n, name in enumerate(names) if name.casefold() in MAXIMUM]
    for row in rows:
        possible = [place] if row[0].text.strip() == POSSIBLE else places
        for cell in (row[n] for n in possible if n < len(row)):
            if cell.text == "(read only)" or _number(cell.text) not in (None, worth):
                raise InputError(
                    f"{file}: the column {names[place]} counts to {cell.text}, the chapter to "
                    f"{worth:g}; name another with --column, or change it on the platform."
                )


def _number(text: str) -> float | None:
    try:
        return float(text.replace(",", "."))
    except ValueError:
        return None


def _whose(names: list[str], row: list[Cell], found: Sequence[Standing]) -> Standing | None:
    """Return whose row it is, when all that tells it in the row agrees."""
    cells = {name.casefold(): cell.text.strip() for name, cell in zip(names, row, strict=False)}
    texts = [text for name, text in cells.items() if name in WHO]
    first, last = ([cells[n] for n in COLUMNS[kind] if n in cells] for kind in ("first", "last"))
    if first and last:  # Moodle's gradebook
        texts.append(f"{first[0]} {last[0]}")
    students = {one.student: one for one in found}
    meant = [set(hits) for text in texts if (hits := find_students(students, text))]
    agreed = set.intersection(*meant) if meant else set()
    return students[agreed.pop()] if len(agreed) == 1 else None
