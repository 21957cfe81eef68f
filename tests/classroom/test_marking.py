"""Marking a class: it resumes, survives a kill at any moment, and one submission stops nobody."""

import dataclasses
import json
import os
import random
import signal
import time

import pytest
from toy_class import CHAPTER, STUDENTS, Answering, Ended, Here, Limits, content, named

from transferlab.errors import InputError
from transferlab.kit.classroom.collect import collect
from transferlab.kit.classroom.deadlines import candidates, counted
from transferlab.kit.classroom.edition import Edition
from transferlab.kit.classroom.marking import mark_class, marking_key
from transferlab.kit.classroom.records import Check, Marking, Records
from transferlab.kit.classroom.roster import Student

PASS = {"status": "passed", "message": "", "seconds": 0.0}
CHECKS = {f"{name}_check": PASS for name in ("double", "halve", "Pile")}
PASSED = json.dumps({"checks": CHECKS, "values": {}, "flags": []}).encode()
ALL = 9.0


def hand_in(records: Records, edition: Edition, folder, **files: bytes) -> None:
    for student, data in files.items():
        path = folder / student / "exercises.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    collect(records, CHAPTER, folder, edition.grade_ids)


def marking_of(records: Records, student: str) -> Marking | None:
    return records.marking(counted(records, CHAPTER)[student].submission)


def count(records: Records, table: str) -> int:
    return records.database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


def test_a_bad_submission_stops_nobody(records, edition, solved, tmp_path):
    bad, crashing = b"[" * 100_000, json.loads(json.dumps(solved))
    named(crashing, "halve")["source"] = "import os\nos._exit(1)"  # as soon as the cell is run
    files = {"s1": content(solved), "s2": bad, "s3": content(crashing)}
    hand_in(records, edition, tmp_path / "in", **files)
    lines = []
    done = mark_class(
        records, edition, Here(), Limits(), jobs=2, tell=lambda p: lines.append(p.line())
    )
    assert done.counts == {"graded": 1, "unreadable": 1, "crashed": 1}
    assert marking_of(records, "s1").points == ALL
    assert "nested too deeply" in marking_of(records, "s2").reason
    assert marking_of(records, "s3").status == "crashed"
    assert [line.partition(",")[0] for line in lines] == ["1 of 3", "2 of 3", "3 of 3"]
    assert "median 0.1 s, slowest 0.1 s" in lines[-1]


def test_a_marking_comes_back_as_it_was_written(records, edition, solved, tmp_path):
    hand_in(records, edition, tmp_path / "in", s1=content(solved))
    submission = counted(records, CHAPTER)["s1"].submission
    checks = (
        Check("a", "b", "failed", 0.0, 2.0, "why", 0.5),
        Check("c", "d", "waiting", None, 1.0),
    )
    marking = Marking("graded", "reason", checks, ("one", "two"), ("odd",), 1.5, 1 << 31, "here")
    records.add_marking(submission, "key", marking)
    assert records.marking(submission) == marking
    assert records.has(submission, "key") and not records.has(submission, "other")


def test_the_same_command_marks_only_what_is_new(records, edition, solved, tmp_path):
    runs, sandbox = [], Answering(Ended("ended", 0, PASSED))

    def mark(with_edition=edition) -> int:
        runs.append(mark_class(records, with_edition, sandbox, Limits()).total)
        return runs[-1]

    hand_in(records, edition, tmp_path / "in", s1=content(solved), s2=content(solved))
    assert (mark(), mark()) == (2, 0), "resumed"
    hand_in(records, edition, tmp_path / "in", s2=content(solved) + b" ")
    assert (mark(), mark()) == (1, 0), "a resubmission"
    corrected = json.loads(json.dumps(edition.solved))
    named({"cells": corrected}, "halve_check")["source"] = "assert True"
    regrade = dataclasses.replace(edition, solved=corrected)
    assert (mark(regrade), mark(regrade)) == (2, 0), "a corrected check"
    prose = json.loads(json.dumps(edition.solved))
    prose[0]["source"] = "# Another heading"
    assert mark(dataclasses.replace(edition, solved=prose)) == 0, "prose decides nothing"
    assert count(records, "markings") == sum(runs), "older markings are kept"


def test_what_is_nobodys_fault_is_tried_again(records, edition, solved, tmp_path):
    hand_in(records, edition, tmp_path / "in", s1=content(solved), s2=content(solved))
    for error in (OSError("no space left"), InputError("no sandbox works")):
        done = mark_class(records, edition, Answering(error), Limits())
        assert (done.counts, len(done.not_marked)) == ({}, 2)
        assert str(error) in done.not_marked[0]
    assert marking_of(records, "s1") is None
    mark_class(records, edition, Answering(Ended("ended", 0, PASSED)), Limits())
    assert marking_of(records, "s1").points == ALL


def test_refused_submissions_are_recorded_with_the_reason(records, edition, tmp_path):
    (tmp_path / "in/s1").mkdir(parents=True)
    (tmp_path / "in/s1/exercises.ipynb").symlink_to("/etc/passwd")
    collect(records, CHAPTER, tmp_path / "in", edition.grade_ids)
    done = mark_class(records, edition, Answering(Ended("ended", 0, PASSED)), Limits())
    assert done.counts == {"refused": 1}
    assert "is a link" in marking_of(records, "s1").reason


class Slow:
    """Passes everything, after a hundredth of a second."""

    name = "slow"

    def run(self, task: bytes, limits: Limits) -> Ended:
        time.sleep(0.01)
        return Ended("ended", 0, PASSED)


def test_kill_9_at_20_moments(edition, solved, tmp_path):
    """Nothing is lost, nothing is marked twice, and the same command goes on."""
    folder = tmp_path / "class"
    folder.mkdir()
    students = [Student(f"s{n}", f"Student {n}") for n in range(100)]
    with Records(folder, may_create=True) as records:
        records.add_students(students)
        files = {student.id: content(solved) + b" " * n for n, student in enumerate(students)}
        hand_in(records, edition, tmp_path / "in", **files)
        marking_key(counted(records, CHAPTER)["s1"].submission, edition)  # kept for the children
    moments, kept = random.Random(0), [0]
    while len(kept) <= 20:
        child = os.fork()
        if not child:
            with Records(folder) as records:
                mark_class(records, edition, Slow(), Limits(), jobs=2)
            os._exit(0)
        with Records(folder) as records:
            wanted, end = kept[-1] + moments.randint(1, 3), time.monotonic() + 30
            while count(records, "markings") < wanted and time.monotonic() < end:
                time.sleep(0.001)
            time.sleep(moments.uniform(0.0, 0.01))
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            kept.append(count(records, "markings"))
            assert kept[-1] >= wanted, "a marking was lost"
            assert records.database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    with Records(folder) as records:
        done = mark_class(records, edition, Slow(), Limits(), jobs=2)
        assert 0 < done.total == len(students) - kept[-1]
        assert count(records, "markings") == len(students), "marked twice"
        assert {marking_of(records, student.id).points for student in students} == {ALL}


def test_the_key_depends_on_submission_and_source(records, edition, solved, tmp_path):
    files = {"s1": content(solved), "s2": content(solved), "s3": content(solved) + b" "}
    hand_in(records, edition, tmp_path / "in", **files)
    keys = [marking_key(s, edition) for s in candidates(records, CHAPTER)]
    assert keys[0] == keys[1] != keys[2]
    other = dataclasses.replace(edition, solved=edition.solved[:-1])
    assert marking_key(counted(records, CHAPTER)["s1"].submission, other) != keys[0]


def test_an_older_student_is_kept_when_the_roster_grows(records):
    assert records.add_students([Student("s1", "Mara Ünal-Li"), Student("s9", "New")]) == 1
    assert [s.id for s in records.students()] == [s.id for s in STUDENTS] + ["s9"]
    assert records.students()[0].name == "Mara Ünal-Li"


@pytest.mark.parametrize("data", [None, b"", b"no database" * 100])
def test_a_folder_that_is_no_class(data, tmp_path):
    if data is not None:
        (tmp_path / "class.db").write_bytes(data)
    with pytest.raises(InputError, match=str(tmp_path)):
        Records(tmp_path)
