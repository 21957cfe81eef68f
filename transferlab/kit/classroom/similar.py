"""Which answers are alike beyond what was released, and beyond what many have written?

copydetect makes fingerprints of code that do not change with names, comments and layout: the
winnowing of Schleimer, Wilkerson and Aiken, Winnowing: Local Algorithms for Document Fingerprinting
(2003). A fingerprint of the released code, or one that more than a few students share, says
nothing about two of them. What is left is a reason to look, and never a proof.
"""

import io
import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from transferlab.errors import InputError
from transferlab.kit.classroom.deadlines import counted
from transferlab.kit.classroom.edition import Edition, about
from transferlab.kit.classroom.rebuild import rebuild
from transferlab.kit.classroom.records import Records
from transferlab.kit.classroom.roster import Student
from transferlab.kit.notebooks import source_of

LENGTH = 20  # characters of a fingerprint; a name counts as one
WINDOW = 4  # of so many fingerprints in a row one stays
MANY = 0.1  # what a larger share of the class has written is nobody's own
LONGEST = 20_000  # characters of an answer that are looked at
FEWEST = 5  # fingerprints of one's own; a shorter answer can only be like others


@dataclass(frozen=True)
class Pair:
    """Two students, how many fingerprints both have, of how many of the shorter one, and where."""

    one: Student
    other: Student
    shared: int
    of: int
    exercises: tuple[str, ...]


def most_of(handed_in: int) -> int:
    """Return how many students of a class may have one fingerprint, for it to be their own."""
    return max(2, int(MANY * handed_in))


def similar(records: Records, edition: Edition, at_least: float = 0.5) -> tuple[list[Pair], int]:
    """Return pairs of students whose answers are alike, those that share most first; and `most_of`.

    at_least: the share of the shorter one's fingerprints that both must have
    """
    released = {about(c).get("grade_id"): source_of(c) for c in edition.released}
    everybody = {student.id: student for student in records.students()}
    prints: dict[str, dict[str, set[int]]] = {}
    for student, one in counted(records, edition.chapter).items():
        if one.submission.status == "collected":
            content = records.file_of(one.submission.sha).read_bytes()
            prints[student] = dict(_fingerprints(content, edition, released))
    shared = Counter(mark for answers in prints.values() for mark in set().union(*answers.values()))
    most = most_of(len(prints))
    own = {
        student: {name: {m for m in marks if shared[m] <= most} for name, marks in answers.items()}
        for student, answers in prints.items()
    }
    pairs = [
        Pair(everybody[one], everybody[other], *_likeness(own[one], own[other]))
        for one, other in itertools.combinations(own, 2)
    ]
    found = [p for p in pairs if p.of >= FEWEST and p.shared >= at_least * p.of]
    return sorted(found, key=lambda pair: -pair.shared), most


def _fingerprints(
    content: bytes, edition: Edition, released: dict[str, str]
) -> Iterator[tuple[str, set[int]]]:
    """Yield each code answer that was worked on, with the fingerprints that are not released."""
    try:
        rebuilt = rebuild(content, edition)
    except InputError:  # the marking says so
        return
    for cell in rebuilt.cells:
        name = about(cell).get("grade_id")
        is_answer = about(cell).get("solution") and cell["cell_type"] == "code"
        if is_answer and name not in rebuilt.untouched:
            yield name, _marks(source_of(cell)) - _marks(released[name])


def _marks(source: str) -> set[int]:
    from copydetect import CodeFingerprint  # here: it imports matplotlib

    code = io.StringIO(source[:LONGEST])
    return CodeFingerprint("answer.py", LENGTH, WINDOW, language="python", fp=code).hashes


def _likeness(
    one: dict[str, set[int]], other: dict[str, set[int]]
) -> tuple[int, int, tuple[str, ...]]:
    """Return how many fingerprints both have, the fewest that one has, and in which exercises."""
    both = {name: one[name] & other[name] for name in one if name in other}
    sizes = [len(set().union(*answers.values())) for answers in (one, other)]
    exercises = tuple(name for name, marks in both.items() if marks)
    return len(set().union(*both.values())), min(sizes), exercises
