"""Merging the records of several machines: what one has and the other lacks, in one transaction.

Rows are matched by what they are, never by their number, which every machine gives by itself. Where
both have a row, the earlier one counts; yet a submission that was taken goes before one that was
refused, and a marking that has ended well before one that has not: so both machines say the same,
whichever takes over first.
"""

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

from transferlab.errors import InputError
from transferlab.files import written_whole
from transferlab.kit.classroom.deadlines import LATE_DAYS, Rules
from transferlab.kit.classroom.records import FILE, PLACE, Records, read_marking
from transferlab.kit.classroom.sources import plain

# How the tables are called in front of a teacher.
TABLES = {"students": "students", "submissions": "submissions", "markings": "markings"}
TABLES |= {"points": "decisions", "settings": "settings"}
LACKING = """
SELECT DISTINCT sha, status FROM other.submissions
WHERE sha NOT IN (SELECT sha FROM main.submissions)
"""
NAMES = """
SELECT id, ours.name, theirs.name FROM main.students ours JOIN other.students theirs USING (id)
WHERE ours.name <> theirs.name
"""
SETTINGS = """
SELECT name, ours.value, theirs.value FROM main.settings ours JOIN other.settings theirs
USING (name) WHERE ours.value <> theirs.value
"""
SAME = """WITH same AS (
    SELECT ours.number AS ours, theirs.number AS theirs, chapter, student
    FROM main.submissions ours JOIN other.submissions theirs USING (chapter, student, sha)
)"""
# The last points of each for one check, unless those of the other are known here already.
LAST = """SELECT submission, name, points, comment, max(given) AS given FROM {}.points
    WHERE points IS NOT NULL GROUP BY submission, name"""
GIVEN_ON_BOTH = f"""
{SAME}, here AS ({LAST.format("main")}), there AS ({LAST.format("other")})
SELECT (SELECT name FROM main.students WHERE id = student), here.name,
    here.points, here.comment, there.points, there.comment, there.given >= here.given
FROM same JOIN here ON here.submission = ours
JOIN there ON there.submission = theirs AND there.name = here.name
WHERE (here.points, here.comment) <> (there.points, there.comment)
AND (ours, here.name, there.given) NOT IN (SELECT submission, name, given FROM main.points)
ORDER BY chapter, same.ours, here.name
"""
DAMAGED = (ValueError, OverflowError, TypeError, KeyError, AttributeError)
# SQLite needs `WHERE true` to tell an ON CONFLICT from a join's ON.
MERGE = (
    "INSERT OR IGNORE INTO main.students SELECT * FROM other.students ORDER BY rowid",
    "INSERT OR IGNORE INTO main.settings SELECT * FROM other.settings",
    """
    INSERT INTO main.submissions
    SELECT NULL, chapter, student, sha, file, status, reason, notes, collected, handed_in, committed
    FROM other.submissions WHERE true ORDER BY collected, number
    ON CONFLICT (chapter, student, sha) DO UPDATE SET
        (file, status, reason, notes, collected, committed) = (excluded.file, excluded.status,
        excluded.reason, excluded.notes, excluded.collected, excluded.committed)
    WHERE (excluded.status <> 'collected', excluded.collected)
        < (status <> 'collected', collected)
    """,
    """
    UPDATE main.submissions AS ours SET handed_in = theirs.handed_in FROM other.submissions theirs
    WHERE (ours.chapter, ours.student, ours.sha) = (theirs.chapter, theirs.student, theirs.sha)
    AND (ours.handed_in IS NULL OR theirs.handed_in < ours.handed_in)
    """,
    f"""
    {SAME} INSERT INTO main.markings SELECT NULL, same.ours, key, marking, marked
    FROM other.markings JOIN same ON submission = same.theirs WHERE true ORDER BY marked, number
    ON CONFLICT (submission, key) DO UPDATE SET marking = excluded.marking, marked = excluded.marked
    WHERE (json_extract(excluded.marking, '$.status') <> 'graded', excluded.marked)
        < (json_extract(marking, '$.status') <> 'graded', marked)
    """,
    f"""
    {SAME}, lacking AS (
        SELECT same.ours, name, points, comment, released, by_whom, given
        FROM other.points JOIN same ON submission = same.theirs
        EXCEPT SELECT submission, name, points, comment, released, by_whom, given FROM main.points
    ) INSERT INTO main.points SELECT NULL, * FROM lacking ORDER BY given
    """,
)


@dataclass(frozen=True)
class Merged:
    """What a merging has brought: rows by kind, and lines that say where both differ.

    There ours stays, or, of points that both gave, the later ones count.
    """

    new: dict[str, int]
    ours_stays: list[str]
    given_on_both: list[str]


def merge(records: Records, other: Path, *, dry_run: bool = False) -> Merged:
    """Take over what another machine's record of the class has and this one lacks, or nothing.

    The other one, a folder or its class.db, is never changed. Twice brings nothing more.

    Raises:
        InputError: the other one is none, is damaged, or lacks the bytes of a submission.
    """
    folder, database = other.parent if other.name == FILE else other, records.database
    if not (folder / FILE).is_file():
        raise InputError(f"{other} is no class: it has no {FILE}.")
    if (folder / FILE).samefile(records.folder / FILE):
        raise InputError(f"{other} is this class itself; expected that of another machine.")
    with _attached(records, folder):
        lacking = database.execute(LACKING).fetchall()
        there = [sha for sha, status in lacking if _bytes(folder, sha, status)]
        ours_stays, before = list(_ours_stays(database)), _counts(database)
        given_on_both = [_given_twice(*row) for row in database.execute(GIVEN_ON_BOTH)]
        try:
            for statement in MERGE:
                database.execute(statement)
            new = {kind: count - before[kind] for kind, count in _counts(database).items()}
            if not dry_run:
                for sha in there:
                    with written_whole(records.file_of(sha)) as unfinished:
                        unfinished.write_bytes(_bytes(folder, sha, "collected"))
                database.commit()
        finally:
            database.rollback()  # of what was not committed
    return Merged(new, ours_stays, given_on_both)


@contextmanager
def _attached(records: Records, folder: Path) -> Iterator[None]:
    """Attach a copy of another record as `other`, in the present format, and not damaged.

    Even to read, SQLite writes beside a record; and an older one has to be brought up to date.
    """
    with TemporaryDirectory(prefix="transferlab-") as place:
        path, copy = folder / FILE, Path(place, FILE)
        try:
            for end in ("", "-wal"):  # the second holds what is not in the first one yet
                if path.with_name(FILE + end).is_file():
                    shutil.copyfile(path.with_name(FILE + end), copy.with_name(FILE + end))
            with Records(copy.parent) as theirs:
                _check(theirs)
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error
        except InputError as error:
            raise InputError(str(error).replace(str(copy), str(path))) from error
        except (sqlite3.DatabaseError, *DAMAGED) as error:
            said = plain(str(error), 100)
            raise InputError(f"{path} is damaged, nothing was taken: {said}.") from error
        records.database.execute("ATTACH ? AS other", (str(copy),))
        try:
            yield
        finally:
            records.database.execute("DETACH other")


def _check(theirs: Records) -> None:
    """Raise when a record is damaged, or holds what cannot be read."""
    (said,) = theirs.database.execute("PRAGMA integrity_check(1)").fetchone()
    if said != "ok" or theirs.database.execute("PRAGMA foreign_key_check").fetchone():
        raise ValueError(said if said != "ok" else "a row belongs to nothing")
    for (marking,) in theirs.database.execute("SELECT marking FROM markings"):
        read_marking(marking)
    for name, value in theirs.settings().items():
        _said(name, value)


def _bytes(folder: Path, sha: str, status: str) -> bytes:
    """Return what was handed in; of what was refused or too large there may be nothing."""
    path = folder / PLACE.format(sha)
    if not path.is_file() and status != "collected":
        return b""
    content = path.read_bytes() if path.is_file() else b""
    if sha256(content).hexdigest() != sha:
        what = "has other bytes than it had" if path.is_file() else "is not there"
        raise InputError(f"{path} {what}; nothing was taken. Copy the whole folder again.")
    return content


def _counts(database: sqlite3.Connection) -> dict[str, int]:
    count = "SELECT count(*) FROM main."
    return {kind: database.execute(count + name).fetchone()[0] for name, kind in TABLES.items()}


def _ours_stays(database: sqlite3.Connection) -> Iterator[str]:
    for student, ours, theirs in database.execute(NAMES).fetchall():
        yield f"{student} is {ours} here, and {plain(theirs)} there"
    for name, *values in database.execute(SETTINGS).fetchall():
        ours, theirs = (_said(name, json.loads(value)) for value in values)
        yield f"{name}: {ours} here, and {theirs} there"


def _given_twice(
    student: str, check: str, ours: float, said: str, theirs: float, said_there: str, later: bool
) -> str:
    here, there = f"{ours:g}", f"{theirs:g}"
    if here == there:  # the comments differ
        here, there = (f'{here} "{plain(text, 60)}"' for text in (said, said_there))
    last = there if later else here
    return f"{student}, {plain(check)}: {here} here, {there} there; the later, {last}, counts"


def _said(name: str, value: dict) -> str:
    return f"{value['days']:g} days" if name == LATE_DAYS else str(Rules(**value))
