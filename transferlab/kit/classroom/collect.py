"""Collecting: from a download to one submission for each student. Nothing is executed."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType

from transferlab.errors import InputError
from transferlab.files import written_whole
from transferlab.kit.classroom.rebuild import read_submission
from transferlab.kit.classroom.records import Records, Submission
from transferlab.kit.classroom.repositories import fetch, is_table, read_table
from transferlab.kit.classroom.roster import Student, find_students
from transferlab.kit.classroom.sources import LARGEST, Entry, opened, plain, read_source

# Moodle: "Mara Ünal_12345_assignsubmission_file_/exercises.ipynb", the number the assignment's.
MOODLE = re.compile(r"(?P<who>.+?)_(?P<number>\d+)_assignsubmission_[a-z]+_?", re.DOTALL)
# Canvas: "unalmara_LATE_12345_67890_exercises-1.ipynb"; 12345 is the student's id in Canvas.
CANVAS = re.compile(r"(?P<who>[^_]+)(?P<late>_LATE)?_(?P<number>\d+)_\d+_", re.IGNORECASE)
# "exercises (1)", "exercises-1": later copies
COPY = re.compile(r"(?: \((\d{1,3})\)|-(\d{1,3}))?$")
MOST_READ = 10 * LARGEST  # bytes of all notebooks of a student
# One file of a repository can be there under many names. A zip file is kept in memory.
MOST_ZIPS, MOST_NOTEBOOKS = 10, 1000  # of a student
MOST_NOTES = 10  # of a submission

Owner = tuple[str, ...]  # a name, the platform's number if there is one, the platform
Groups = dict[Owner, list[Entry]]
Chosen = list[tuple[Submission, bytes]]  # of one student; the last one counts


@dataclass
class Collected:
    """What a collecting has found, as lines to be shown.

    `refused`, `not_had` (repositories) and `unknown` need a person.
    """

    new: list[str] = field(default_factory=list)
    resubmitted: list[str] = field(default_factory=list)
    known: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    not_had: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def collect(
    records: Records,
    chapter: str,
    source: Path,
    grade_ids: Sequence[str],
    times: Mapping[str, float] = MappingProxyType({}),
    *,
    dry_run: bool = False,
    tell: Callable[[str], None] = lambda line: None,
) -> Collected:
    """Take over what students have handed in; what is known already stays as it is.

    A resubmission is kept beside the older one, and the newest counts. What cannot be taken (a
    link, more than 20 MB, no notebook, one of another chapter, one that is cut off) is recorded as
    "refused", "too large" or "unreadable", with the reason; what was taken before then counts.

    Args:
        source: a folder, a zip file, or a table of git repositories.
        grade_ids: the names of the chapter's cells; they tell its notebook from other files.
        times: when students have handed in what counts in this source, by id.
        dry_run: write nothing, only tell what would happen.
        tell: called with a line that says how far it is, when it takes long.
    """
    done, students, before = Collected(), records.students(), records.submissions(chapter)
    for student, chosen in _chosen(source, students, grade_ids, done, tell):
        earlier = before.setdefault(student.id, [])
        known = {submission.sha for submission in earlier}
        newest = replace(chosen[-1][0], handed_in=times.get(student.id))
        for submission, content in [*chosen[:-1], (newest, chosen[-1][1])]:
            who = f"{student.name}: {submission.file}"
            done.notes += [f"{student.name}: {note}" for note in submission.notes]
            if submission.status != "collected":
                done.refused.append(f"{student.name}: {submission.reason}")
            elif submission.sha in known:
                done.known.append(who)
            else:
                (done.resubmitted if known else done.new).append(who)
            if not dry_run:
                path = records.file_of(submission.sha)
                if content and not path.is_file():
                    with written_whole(path) as unfinished:
                        unfinished.write_bytes(content)
                records.add_submission(chapter, submission)
    done.missing = [student.name for student in students if student.id not in before]
    return done


def _chosen(
    source: Path,
    students: list[Student],
    grade_ids: Sequence[str],
    done: Collected,
    tell: Callable[[str], None],
) -> Iterator[tuple[Student, Chosen]]:
    """Yield what each student has handed in; what nobody can have is listed in `done`."""
    if not is_table(source):
        for student, entries in _by_student(read_source(source), students, done):
            yield student, _choose(student, entries, grade_ids)
        return
    repositories, done.unknown = read_table(source, students)
    choose = partial(_choose_committed, grade_ids=grade_ids)
    for student, found in fetch(repositories, choose, tell):
        if isinstance(found, str):
            done.not_had.append(f"{student.name}: {found}")
        else:
            yield student, found


# ---- whose is it? --------------------------------------------------------------------------------


def _by_student(
    entries: list[Entry], students: list[Student], done: Collected
) -> list[tuple[Student, list[Entry]]]:
    """Return the files of each student; who is unknown or ambiguous is listed in `done`."""
    groups = _grouped(entries)
    inside = [replace(entry, path=entry.path[1:]) for entry in entries if len(entry.path) > 1]
    one_folder = len(groups) == 1 and not _students_of(next(iter(groups)), students)
    if one_folder and any(_students_of(owner, students) for owner in _grouped(inside)):
        groups = _grouped(inside)
    owners: dict[Student, list[Owner]] = defaultdict(list)
    for owner in groups:
        found = _students_of(owner, students)
        if len(found) == 1:
            owners[found[0]].append(owner)
        elif found:
            done.unknown.append(
                f"{plain(owner[0])}: {len(found)} students have this name; put the file into a "
                f"folder named by the id ({', '.join(s.id for s in found)}) and collect that"
            )
        else:
            done.unknown.append(f"{plain(owner[0])}: nobody in the roster has this name or id")
    for student, names in owners.items():
        if len(names) > 1:
            places = ", ".join(plain(" ".join(name)) for name in names)
            done.unknown.append(f"{student.name}: {len(names)} folders are theirs, {places}")
    return [(s, groups[names[0]]) for s, names in owners.items() if len(names) == 1]


def _grouped(entries: list[Entry]) -> Groups:
    groups: Groups = defaultdict(list)
    for entry in entries:
        groups[_owner(entry)].append(entry)
    return groups


def _owner(entry: Entry) -> Owner:
    """Return what tells whose file it is. Two students of one name have two numbers: two owners."""
    first = entry.path[0]
    if moodle := MOODLE.match(first):
        return moodle["who"], moodle["number"], "Moodle"
    if canvas := CANVAS.match(first):
        return canvas["who"], canvas["number"], "Canvas"
    return (first if len(entry.path) > 1 else first[: len(first) - len(entry.suffix)],)


def _students_of(owner: Owner, students: list[Student]) -> list[Student]:
    by_number = find_students(students, owner[1]) if owner[-1] == "Canvas" else []
    return by_number or find_students(students, owner[0])


# ---- which file is it? ---------------------------------------------------------------------------


def _choose(student: Student, entries: list[Entry], grade_ids: Sequence[str]) -> Chosen:
    """Return the submissions of a student with their bytes; the last one counts.

    Of several notebooks those of the chapter are taken, else those with its name, in the order of
    their age. The others may be large: all lessons may lie there too.
    """
    entries = list(_opened(entries))
    if sum(entry.suffix == ".ipynb" for entry in entries) > MOST_NOTEBOOKS:
        return [_not_taken(student, "too large", f"more than {MOST_NOTEBOOKS} notebooks")]
    notebooks, problems, read = [], [], 0
    for entry in entries:
        if entry.refused:
            problems.append(f"{entry.where} is {entry.refused}")
        elif entry.suffix == ".ipynb":
            try:
                content = entry.read()
            except (InputError, OSError) as error:
                problems.append(f"{entry.where} cannot be read: {error}")
                continue
            notebooks.append((_rank(entry, content, grade_ids), entry, content))
            read += len(content)
            if read > MOST_READ:
                return [_not_taken(student, "too large", "its notebooks have more than 200 MB")]
    if not notebooks:
        others = ", ".join(entry.where for entry in entries[:3]) or "nothing"
        reason = "; ".join(problems) or f"no notebook; found {others}"
        return [_not_taken(student, "refused", reason)]
    notebooks.sort(key=lambda notebook: notebook[0])
    taken = [notebook for notebook in notebooks if notebook[0][:2] == notebooks[-1][0][:2]]
    (first, *_), (last, newest, _) = taken[0], taken[-1]
    if sum(len(content) for *_, content in taken) > LARGEST:
        return [_not_taken(student, "too large", f"{newest.where} makes it more than 20 MB")]
    if len(taken) > 1:
        why = "it is the newest" if first[2:] < last[2:] else "it is the last by name"
        problems.append(f"{len(taken)} notebooks; {newest.where} counts, {why}")
    chosen = []
    for _, entry, content in taken:
        said = *_looked_at(content, grade_ids), tuple(problems[-MOST_NOTES:])
        chosen.append((Submission(student.id, _hash(content), entry.where, *said), content))
    return chosen


def _opened(entries: list[Entry]) -> Iterator[Entry]:
    """Yield the files with what is in a student's zip files, of which only the first are opened."""
    zips = 0
    for entry in entries:
        is_zip = entry.suffix == ".zip" and not entry.refused
        zips += is_zip
        if is_zip and zips > MOST_ZIPS:
            yield replace(entry, refused="one zip file too many")
        else:
            yield from opened(entry)


def _choose_committed(student: Student, entries: list[Entry], grade_ids: Sequence[str]) -> Chosen:
    """Return the same of a repository, with the date of its commit, which all files have."""
    date = entries[0].modified if entries else None
    chosen = _choose(student, entries, grade_ids)
    return [(replace(submission, committed=date), content) for submission, content in chosen]


def _looked_at(content: bytes, grade_ids: Sequence[str]) -> tuple[str, str]:
    """Return the status of a notebook, and what is wrong with it: told now, not when marking."""
    try:
        cells, _ = read_submission(content)
    except InputError as error:
        return "unreadable", plain(str(error))
    named = {cell.grade_id for cell in cells} - {""}
    if named and named.isdisjoint(grade_ids):
        some = ", ".join(plain(name, 40) for name in sorted(named)[:3])
        return "refused", f"it is the notebook of another chapter; its cells are {some} …"
    return "collected", ""


def _not_taken(student: Student, status: str, reason: str) -> tuple[Submission, bytes]:
    return Submission(student.id, _hash(reason.encode()), "", status, plain(reason)), b""


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _rank(entry: Entry, content: bytes, grade_ids: Sequence[str]) -> tuple[bool, bool, float, int]:
    """Return what orders notebooks: is it the chapter's, has it the name, its age, its copy."""
    stem = entry.path[-1][: -len(entry.suffix)]
    copy = COPY.search(stem)
    is_the_chapters = any(f'"{name}"'.encode() in content for name in grade_ids)
    number = int(copy[1] or copy[2] or 0)
    return is_the_chapters, "exercises" in stem.lower(), entry.modified, number
