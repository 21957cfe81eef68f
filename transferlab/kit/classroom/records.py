"""The record of a class: an SQLite file that survives a kill at any moment.

Every submission and every marking is one row, written in one transaction. A marking is kept under a
key, the hash of the submission, the source of the exercises and the code that marks: what has a row
with its key is marked. Older rows are never changed. What a person decides has a table of its own,
so that no marking can overwrite it.
"""

import dataclasses
import getpass
import json
import sqlite3
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transferlab.errors import InputError
from transferlab.kit.classroom.roster import Student

FILE, PLACE = "class.db", "submissions/{}.ipynb"  # in the folder of a class, the second by hash
FORMAT = 4
TABLES = """
CREATE TABLE students (id TEXT PRIMARY KEY, name TEXT NOT NULL, email TEXT NOT NULL);
CREATE TABLE submissions (
    number INTEGER PRIMARY KEY, chapter TEXT NOT NULL, student TEXT NOT NULL REFERENCES students,
    sha TEXT NOT NULL, file TEXT NOT NULL, status TEXT NOT NULL, reason TEXT NOT NULL,
    notes JSON NOT NULL, collected REAL NOT NULL, UNIQUE (chapter, student, sha)
);
CREATE TABLE markings (
    number INTEGER PRIMARY KEY, submission INTEGER NOT NULL REFERENCES submissions,
    key TEXT NOT NULL, marking JSON NOT NULL, marked REAL NOT NULL, UNIQUE (submission, key)
);
"""
SINCE_1 = """
CREATE TABLE points (
    number INTEGER PRIMARY KEY, submission INTEGER NOT NULL REFERENCES submissions,
    name TEXT NOT NULL, points REAL, comment TEXT NOT NULL, released JSON NOT NULL,
    by_whom TEXT NOT NULL, given REAL NOT NULL
);
"""
SINCE_2 = """
CREATE TABLE settings (name TEXT PRIMARY KEY, value JSON NOT NULL);
ALTER TABLE submissions ADD COLUMN handed_in REAL;
"""
SINCE_3 = "ALTER TABLE submissions ADD COLUMN committed REAL;"
CHANGES = (TABLES, SINCE_1, SINCE_2, SINCE_3)  # from format to format; nothing is ever lost


@dataclass(frozen=True)
class Submission:
    """What a student has handed in for a chapter.

    `status` is "collected", or "too large", "refused" or "unreadable" for what was not taken;
    `reason` says why. `collected` is when it came here, `handed_in` when the platform got it, if
    that is known, `committed` the date of its git commit: all in seconds since 1970.
    """

    student: str
    sha: str
    file: str
    status: str = "collected"
    reason: str = ""
    notes: tuple[str, ...] = ()
    number: int = 0
    collected: float = 0.0
    handed_in: float | None = None
    committed: float | None = None


@dataclass(frozen=True)
class Check:
    """What became of one check, or of one written answer.

    `status` is "passed", "failed", "timed out", "crashed", "not reached" or "not answered"; or
    "waiting" for a written answer and "withheld" for a flagged one, both without points; or "by
    hand" when a person has given the points, with a comment.
    """

    name: str
    exercise: str
    status: str
    points: float | None
    worth: float
    message: str = ""
    seconds: float = 0.0
    comment: str = ""


@dataclass(frozen=True)
class Decision:
    """What a person has decided about a submission; of several about one check the last counts.

    `points` are for the check `name`; None leaves what the marking gave. `released` are flags that
    the person has looked at, or the status of a submission that could not be marked.
    """

    name: str = ""
    points: float | None = None
    comment: str = ""
    released: tuple[str, ...] = ()


@dataclass(frozen=True)
class Marking:
    """What became of one submission.

    `status` is "graded", "timed out", "crashed", "unreadable", "too large" or "refused". `notes`
    say what was rebuilt, `flags` what a person should look at. `memory` is in bytes.
    """

    status: str
    reason: str = ""
    checks: tuple[Check, ...] = ()
    notes: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    seconds: float = 0.0
    memory: int = 0
    sandbox: str = ""

    @property
    def points(self) -> float:
        return sum(check.points or 0.0 for check in self.checks)


class Records:
    """The open record of a class; use it in a `with` statement."""

    def __init__(self, folder: Path, *, may_create: bool = False) -> None:
        self.folder, path = folder, folder / FILE
        if not may_create and not path.is_file():
            raise InputError(
                f"{folder} is no class: it has no {FILE}; see `transferlab class init`."
            )
        self.database = sqlite3.connect(path, timeout=30)
        try:
            self.database.execute("PRAGMA foreign_keys = ON")
            self.database.execute("PRAGMA journal_mode = WAL")  # readers never wait for the marking
            (found,) = self.database.execute("PRAGMA user_version").fetchone()
        except sqlite3.DatabaseError as error:
            raise InputError(f"{path} is no record of a class: {error}.") from error
        if not (0 if may_create else 1) <= found <= FORMAT:
            raise InputError(f"{path} has the format {found}; this transferlab reads {FORMAT}.")
        if changes := "".join(CHANGES[found:]):  # a new record, or an older one
            self.database.executescript(f"BEGIN; {changes} PRAGMA user_version = {FORMAT}; COMMIT;")

    def __enter__(self) -> "Records":
        return self

    def __exit__(self, *exception: object) -> None:
        self.database.close()

    def add_students(self, students: Iterable[Student]) -> int:
        """Write the roster; return how many students are new. Who is known may get a new name."""
        before = len(self.students())
        with self.database:
            self.database.executemany(
                "INSERT INTO students VALUES (:id, :name, :email) "
                "ON CONFLICT (id) DO UPDATE SET name = :name, email = :email",
                [vars(student) for student in students],
            )
        return len(self.students()) - before

    def students(self) -> list[Student]:
        """Return the roster in its order."""
        rows = self.database.execute("SELECT id, name, email FROM students ORDER BY rowid")
        return [Student(*row) for row in rows]

    def file_of(self, sha: str) -> Path:
        """Return where the bytes of a submission lie: no name of a student's becomes a path."""
        return self.folder / PLACE.format(sha)

    def settings(self) -> dict[str, dict[str, Any]]:
        """Return all settings by name."""
        rows = self.database.execute("SELECT name, value FROM settings")
        return {name: json.loads(value) for name, value in rows}

    def set(self, name: str, value: dict[str, Any]) -> None:
        """Keep a setting; an older one of the name is replaced."""
        with self.database:
            values = name, json.dumps(value)
            self.database.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", values)

    def add_submission(self, chapter: str, submission: Submission) -> None:
        """Keep a submission beside the older ones, unless it is known already.

        One that is known keeps when it was handed in, if that was known.
        """
        values = vars(submission) | {"notes": json.dumps(submission.notes), "chapter": chapter}
        with self.database:
            self.database.execute(
                "INSERT INTO submissions VALUES (NULL, :chapter, :student, :sha, :file, :status, "
                ":reason, :notes, :collected, :handed_in, :committed) ON CONFLICT "
                "(chapter, student, sha) DO UPDATE SET handed_in = coalesce(handed_in, :handed_in)",
                values | {"collected": submission.collected or time.time()},
            )

    def chapters(self) -> list[str]:
        """Return the chapters for which something was handed in."""
        rows = self.database.execute("SELECT DISTINCT chapter FROM submissions ORDER BY chapter")
        return [chapter for (chapter,) in rows]

    def submissions(self, chapter: str) -> dict[str, list[Submission]]:
        """Return the submissions of a chapter by student, in the order of collecting.

        Of time: numbers tell no order when records of several machines were merged.
        """
        found: dict[str, list[Submission]] = {}
        for *texts, notes, number, collected, handed_in, committed in self.database.execute(
            "SELECT student, sha, file, status, reason, notes, number, collected, handed_in, "
            "committed FROM submissions WHERE chapter = ? ORDER BY collected, number",
            (chapter,),
        ):
            times = collected, handed_in, committed
            submission = Submission(*texts, tuple(json.loads(notes)), number, *times)
            found.setdefault(submission.student, []).append(submission)
        return found

    def add_marking(self, submission: Submission, key: str, marking: Marking) -> None:
        """Keep a marking, whole or not at all; one that its key has already stays."""
        values = (submission.number, key, json.dumps(dataclasses.asdict(marking)), time.time())
        with self.database:
            self.database.execute(
                "INSERT OR IGNORE INTO markings VALUES (NULL, ?, ?, ?, ?)", values
            )

    def has(self, submission: Submission, key: str) -> bool:
        """Return whether a submission has been marked under this key."""
        found = self.database.execute(
            "SELECT 1 FROM markings WHERE submission = ? AND key = ?", (submission.number, key)
        )
        return found.fetchone() is not None

    def marking(self, submission: Submission) -> Marking | None:
        """Return the newest marking of a submission; None when there is none."""
        row = self.database.execute(
            "SELECT marking FROM markings WHERE submission = ? "
            "ORDER BY marked DESC, number DESC LIMIT 1",
            (submission.number,),
        ).fetchone()
        return read_marking(row[0]) if row else None

    def add_decisions(self, decided: Iterable[tuple[Submission, Decision]]) -> None:
        """Keep what a person has decided, all of it or nothing."""
        rows = [
            (s.number, d.name, d.points, d.comment, json.dumps(d.released), _user(), time.time())
            for s, d in decided
        ]
        with self.database:
            self.database.executemany("INSERT INTO points VALUES (NULL, ?, ?, ?, ?, ?, ?, ?)", rows)

    def decisions(self, submission: Submission) -> list[Decision]:
        """Return what persons have decided about a submission, the oldest first."""
        rows = self.database.execute(
            "SELECT name, points, comment, released FROM points WHERE submission = ? "
            "ORDER BY given, number",
            (submission.number,),
        )
        return [Decision(*values, tuple(json.loads(released))) for *values, released in rows]


def read_marking(text: str) -> Marking:
    """Return a marking as the record keeps it, in JSON."""
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in json.loads(text).items()}
    return Marking(**values | {"checks": tuple(Check(**check) for check in values["checks"])})


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        return "?"
