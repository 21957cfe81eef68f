"""Two machines, one class: what each has, both have afterwards, and both say the same."""

import copy
import hashlib
import json
import shutil
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from toy_class import CHAPTER, STUDENTS, Here, Limits, content, named

from transferlab.errors import InputError
from transferlab.files import written_whole
from transferlab.kit.classroom.collect import collect
from transferlab.kit.classroom.deadlines import LATE_DAYS, Rules, counted, set_rules
from transferlab.kit.classroom.marking import mark_class, unmarked
from transferlab.kit.classroom.merging import merge
from transferlab.kit.classroom.records import (
    FILE,
    SINCE_1,
    TABLES,
    Check,
    Decision,
    Marking,
    Records,
    Submission,
)
from transferlab.kit.classroom.roster import Student
from transferlab.kit.classroom.status import Standing, standings
from transferlab.kit.classroom.written import carry_over

NOTHING = {"students": 0, "submissions": 0, "markings": 0, "decisions": 0, "settings": 0}


@pytest.fixture
def machine(tmp_path):
    """Return a function that opens the class of a machine by its name, with the roster."""
    opened = []

    def open_it(name: str) -> Records:
        folder = tmp_path / name / "physics"
        folder.mkdir(parents=True)
        opened.append(Records(folder, may_create=True))
        opened[-1].add_students(STUDENTS)
        return opened[-1]

    yield open_it
    for records in opened:
        records.database.close()


def hand_in(records: Records, student: str, data: bytes = b"{}", **values) -> Submission:
    """Record a submission with its bytes; return it as the record has it."""
    sha = hashlib.sha256(data).hexdigest()
    with written_whole(records.file_of(sha)) as path:
        path.write_bytes(data)
    records.add_submission(CHAPTER, Submission(student, sha, f"{student}.ipynb", **values))
    return next(s for s in records.submissions(CHAPTER)[student] if s.sha == sha)


def marking(points: float = 1.0, status: str = "graded") -> Marking:
    return Marking(status, checks=(Check("double_check", "double", "passed", points, 2.0),))


def add_marking(records: Records, one: Submission, key: str, made: Marking, when: float) -> None:
    records.add_marking(one, key, made)
    with records.database:
        records.database.execute(
            "UPDATE markings SET marked = ? WHERE submission = ? AND key = ?",
            (when, one.number, key),
        )


def said(records: Records) -> list[Standing]:
    """Return where the class stands, without the numbers, which are each machine's own."""
    found = []
    for one in sorted(standings(records, CHAPTER), key=lambda one: one.student.id):
        submissions = tuple(replace(submission, number=0) for submission in one.submissions)
        submission = replace(one.counting, number=0) if one.counted else None
        counting = replace(one.counted, submission=submission) if one.counted else None
        found.append(replace(one, submissions=submissions, counted=counting))
    return found


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def both_ways(ada: Records, bo: Records) -> None:
    """Merge in both directions; both then say the same, and nothing more is to come."""
    merge(ada, bo.folder)
    merge(bo, ada.folder)
    assert said(ada) == said(bo)
    assert merge(ada, bo.folder).new == merge(bo, ada.folder).new == NOTHING


# ---- what comes ----------------------------------------------------------------------------------


def test_two_who_have_marked_a_half_each(machine, edition, solved, released, tmp_path):
    ada, bo = machine("ada"), machine("bo")
    wrong = copy.deepcopy(solved)
    named(wrong, "halve")["source"] = "def halve(n):\n    return n // 2"
    for records, theirs in ((ada, {"s1": solved}), (bo, {"s2": wrong, "s3": released})):
        folder = tmp_path / f"in {len(theirs)}"
        for student, notebook in theirs.items():
            (folder / student).mkdir(parents=True)
            (folder / student / "exercises.ipynb").write_bytes(content(notebook))
        collect(records, CHAPTER, folder, edition.grade_ids)
        mark_class(records, edition, Here(), Limits())
    (one,) = ada.submissions(CHAPTER)["s1"]
    ada.add_decisions([(one, Decision("why", 0.5, "Half.")), (one, Decision(released=("x",)))])
    (other,) = bo.submissions(CHAPTER)["s2"]
    bo.add_decisions([(other, Decision("why", 1, "All."))])
    before = files(bo.folder)
    would = merge(ada, bo.folder, dry_run=True)
    assert would.new == NOTHING | {"submissions": 2, "markings": 2, "decisions": 1}
    assert set(ada.submissions(CHAPTER)) == {"s1"}
    assert merge(ada, bo.folder) == would
    assert files(bo.folder) == before, "the other one is never changed"
    assert merge(bo, ada.folder).new == NOTHING | {"submissions": 1, "markings": 1, "decisions": 2}
    assert said(ada) == said(bo)
    assert [one.points for one in said(ada)] == [9.5, 7, 0]
    assert merge(ada, bo.folder / FILE).new == merge(bo, ada.folder).new == NOTHING
    assert not unmarked(ada, edition), "what was marked there is marked"
    for records in (ada, bo):
        for submissions in records.submissions(CHAPTER).values():
            (submission,) = submissions
            data = records.file_of(submission.sha).read_bytes()
            assert hashlib.sha256(data).hexdigest() == submission.sha
    assert carry_over(ada, edition) == 0


def test_the_newest_counts_by_time_and_not_by_number(machine):
    ada, bo = machine("ada"), machine("bo")
    hand_in(ada, "s1", b"third", collected=3)
    hand_in(bo, "s1", b"fourth", collected=4)
    hand_in(bo, "s1", b"second", collected=2)  # the clock was wrong, say
    hand_in(ada, "s1", b"first", collected=1)
    both_ways(ada, bo)
    for records in (ada, bo):
        times = [one.collected for one in records.submissions(CHAPTER)["s1"]]
        assert times == [1, 2, 3, 4]
        assert counted(records, CHAPTER)["s1"].submission.collected == 4


def test_the_same_file_on_both_machines(machine):
    """Who collected first counts, with what the platform said; and the first time it named."""
    ada, bo = machine("ada"), machine("bo")
    hand_in(ada, "s1", collected=5, handed_in=3)
    hand_in(bo, "s1", collected=4, handed_in=2, notes=("here first",))
    hand_in(ada, "s2", collected=5)
    hand_in(bo, "s2", collected=6, handed_in=7)
    hand_in(ada, "s3", b"a", collected=1)
    hand_in(ada, "s3", b"b", collected=9)
    hand_in(bo, "s3", b"b", collected=0.5)
    hand_in(bo, "s3", b"a", collected=3)
    both_ways(ada, bo)
    mara, bo_li, third = (one.submissions for one in said(ada))
    assert [(one.collected, one.handed_in, one.notes) for one in mara] == [(4, 2, ("here first",))]
    assert [(one.collected, one.handed_in) for one in bo_li] == [(5, 7)]
    assert [one.collected for one in third] == [0.5, 1]


def test_what_was_taken_counts_even_when_it_was_refused_earlier(machine):
    """With another edition of the chapter, say."""
    ada, bo = machine("ada"), machine("bo")
    odd = {"status": "refused", "reason": "of another chapter"}
    for student, first, second in (("s1", ada, bo), ("s2", bo, ada)):
        hand_in(first, student, collected=5)
        hand_in(second, student, collected=4, **odd)
    for records, when in ((ada, 7), (bo, 6)):  # refused on both: the earlier one
        hand_in(records, "s3", collected=when, **odd)
    both_ways(ada, bo)
    found = [one.submissions[0] for one in said(ada)]
    assert [(one.status, one.collected) for one in found] == [
        ("collected", 5),
        ("collected", 5),
        ("refused", 6),
    ]
    assert [one.reason for one in found] == ["", "", "of another chapter"]


def test_of_two_markings_the_newest_counts_and_of_one_key_the_better_reason(machine):
    ada, bo = machine("ada"), machine("bo")
    for records, marked in ((ada, {"old": 1, "new": 4}), (bo, {"new": 2, "old": 3})):
        one = hand_in(records, "s1", collected=1)
        for key, when in marked.items():
            add_marking(records, one, key, marking(2 if key == "new" else 1), when)
    slow = hand_in(ada, "s2", collected=1)
    add_marking(ada, slow, "key", marking(0, "timed out"), 1)
    add_marking(bo, hand_in(bo, "s2", collected=1), "key", marking(2), 2)
    both_ways(ada, bo)
    mara, bo_li, _ = said(ada)
    assert mara.points == 2, "marked at 2, after the other at 1"
    assert (bo_li.status, bo_li.points) == ("graded", 2), "a busy machine's time-out gives way"


def test_the_last_decision_counts_whoever_has_made_it(machine, monkeypatch):
    ada, bo = machine("ada"), machine("bo")
    clock = iter((5.0, 1.0, 3.0, 3.0))
    monkeypatch.setattr("transferlab.kit.classroom.records.time.time", lambda: next(clock))
    for records, points in ((ada, 0.5), (bo, 1.0)):
        one = hand_in(records, "s1", collected=1)
        with records.database:
            values = one.number, "k", json.dumps({"status": "graded", "checks": []})
            records.database.execute("INSERT INTO markings VALUES (NULL, ?, ?, ?, 1)", values)
        records.add_decisions([(one, Decision("why", points))])
    for records in (ada, bo):
        (one,) = records.submissions(CHAPTER)["s1"]
        records.add_decisions([(one, Decision("other", None, "same"))])
    both_ways(ada, bo)
    (one,) = ada.submissions(CHAPTER)["s1"]
    assert [d.points for d in ada.decisions(one)] == [1.0, None, 0.5], "one of them was the same"


# ---- where both differ ---------------------------------------------------------------------------


def test_names_and_dates_that_differ_stay_and_are_told(machine):
    ada, bo = machine("ada"), machine("bo")
    bo.add_students([Student("s1", "Mara Ü."), Student("s9", "Zoe")])
    for records, due, days in ((ada, 1e9, 2), (bo, 2e9, 3)):
        set_rules(records, CHAPTER, Rules(due))
        records.set(LATE_DAYS, {"days": days})
    set_rules(bo, "02_b", Rules(3e9))
    done = merge(ada, bo.folder)
    assert done.new == NOTHING | {"students": 1, "settings": 1}
    names, dates, days = done.ours_stays
    assert names == "s1 is Ünal, Mara here, and Mara Ü. there"
    assert dates.startswith(f"{CHAPTER}: due Sunday, 09 September 2001") and "2033" in dates
    assert days == "late days: 2 days here, and 3 days there"
    assert [student.name for student in ada.students()] == ["Ünal, Mara", "Bo Li", "Ada", "Zoe"]
    assert ada.settings()[LATE_DAYS] == {"days": 2} and "02_b" in ada.settings()


def test_points_that_both_gave_are_told(house, command, solved):
    (house / "in/s1").mkdir(parents=True)
    (house / "in/s1/exercises.ipynb").write_bytes(content(solved))
    ada, bo = (("--class", f"{name}/physics") for name in ("ada", "bo"))
    for name, here in (("ada", ada), ("bo", bo)):
        (house / name).mkdir()
        command("init", f"{name}/physics", "--roster", "roster.csv")
        command("collect", CHAPTER, "in", *here)
        command("mark", CHAPTER, *here)
    command("points", CHAPTER, "s1", "why", "1", *ada)
    command("points", CHAPTER, "s1", "why", "0.5", *bo)
    command("points", CHAPTER, "s1", "double_check", "1", "--comment", "Good.", *bo)
    command("points", CHAPTER, "s1", "double_check", "1", "--comment", "Nearly.", *ada)
    command("points", CHAPTER, "s1", "halve_check", "1", *ada)
    for options in (["--dry-run"], []):
        code, out, _ = command("merge", "bo/physics", *options, *ada)
        assert code == 1 and out.endswith(
            "points given on both: 2\n"
            '  Ünal, Mara, double_check: 1 "Nearly." here, 1 "Good." there; '
            'the later, 1 "Nearly.", counts\n'
            "  Ünal, Mara, why: 1 here, 0.5 there; the later, 0.5, counts\n"
        )
    assert command("merge", "bo/physics", *ada)[:2] == (0, "From bo/physics: nothing new.\n")
    command("points", CHAPTER, "s1", "why", "0", *ada)  # the other one is known here
    assert command("merge", "bo/physics", *ada)[0] == 0
    code, out, _ = command("merge", "ada/physics", *bo)
    assert code == 1 and "why: 0.5 here, 0 there; the later, 0, counts" in out, "there it is news"
    assert command("merge", "ada/physics", *bo)[0] == 0
    assert command("merge", "bo/physics", *ada)[1] == "From bo/physics: nothing new.\n"


# ---- what cannot be merged -----------------------------------------------------------------------


@pytest.mark.parametrize("damage", [b"[]", None])
def test_bytes_that_are_others_or_gone_stop_all_of_it(damage, machine):
    ada, bo = machine("ada"), machine("bo")
    hand_in(bo, "s1", b"good")
    path = bo.file_of(hand_in(bo, "s2", b"bad").sha)
    path.write_bytes(damage) if damage else path.unlink()
    before = files(ada.folder)
    with pytest.raises(InputError, match=r"\.ipynb (is not there|has other bytes than it had); no"):
        merge(ada, bo.folder)
    assert ada.submissions(CHAPTER) == {} and set(files(ada.folder)) == set(before)
    path.write_bytes(b"bad")
    assert merge(ada, bo.folder).new["submissions"] == 2, "and nothing is in its way afterwards"


def test_a_failure_in_the_middle_leaves_nothing(machine, monkeypatch):
    ada, bo = machine("ada"), machine("bo")
    add_marking(bo, hand_in(bo, "s1"), "key", marking(), 1)
    monkeypatch.setattr(
        "transferlab.kit.classroom.merging.written_whole",
        lambda path: (_ for _ in ()).throw(OSError),
    )
    with pytest.raises(OSError):
        merge(ada, bo.folder)
    assert ada.submissions(CHAPTER) == {}
    monkeypatch.undo()
    assert merge(ada, bo.folder).new["markings"] == 1


def test_what_was_refused_has_no_bytes(machine):
    ada, bo = machine("ada"), machine("bo")
    bo.add_submission(CHAPTER, Submission("s1", "0" * 64, "", "too large", "more than 20 MB"))
    both_ways(ada, bo)
    assert [one.status for one in ada.submissions(CHAPTER)["s1"]] == ["too large"]


def test_a_path_in_the_other_record_leads_nowhere(machine, tmp_path):
    ada, bo = machine("ada"), machine("bo")
    (tmp_path / "secret.ipynb").write_bytes(b"secret")
    (bo.folder / "submissions").mkdir()
    for status in ("collected", "refused"):
        sha = "../../../secret"
        bo.add_submission(CHAPTER, Submission("s1", sha, "", status))
        with pytest.raises(InputError, match="has other bytes"):
            merge(ada, bo.folder)


def test_one_that_is_no_class_is_itself_or_is_damaged(machine, tmp_path):
    ada, bo = machine("ada"), machine("bo")
    hand_in(bo, "s1")
    with pytest.raises(InputError, match=r"is no class: it has no class\.db\.$"):
        merge(ada, tmp_path)
    with pytest.raises(InputError, match="is this class itself; expected that of another machine"):
        merge(ada, ada.folder / ".." / "physics" / FILE)
    bo.database.close()
    path, whole = bo.folder / FILE, (bo.folder / FILE).read_bytes()
    middle = len(whole) // 2
    for data, words in (
        (b"", r"physics/class\.db has the format 0; this transferlab reads"),
        (b"no database" * 99, r"bo/physics/class\.db is no record of a class"),
        (whole[:middle], r"bo/physics/class\.db is no record of a class: database disk image is m"),
        (whole[:4096] + bytes(len(whole) - 4096), r"bo/physics/class\.db is damaged, nothing was"),
    ):
        path.write_bytes(data)
        with pytest.raises(InputError, match=words):
            merge(ada, bo.folder)
    path.write_bytes(whole)
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 99")
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    with pytest.raises(InputError, match=r"bo/physics/class\.db has the format 99; this"):
        merge(ada, bo.folder)
    assert ada.submissions(CHAPTER) == {}


def test_a_date_that_no_calendar_has(machine):
    ada, bo = machine("ada"), machine("bo")
    bo.set(CHAPTER, {"due": 1e300})
    with pytest.raises(InputError, match=r"class\.db is damaged, nothing was taken"):
        merge(ada, bo.folder)


def test_a_marking_that_cannot_be_read(machine):
    ada, bo = machine("ada"), machine("bo")
    one = hand_in(bo, "s1")
    for text in ("{", '{"checks": [], "status": "graded", "unheard of": 1}', "[]"):
        with bo.database:
            bo.database.execute("DELETE FROM markings")
            values = one.number, text
            bo.database.execute("INSERT INTO markings VALUES (NULL, ?, 'k', ?, 1)", values)
        with pytest.raises(InputError, match="is damaged, nothing was taken"):
            merge(ada, bo.folder)


# ---- other folders -------------------------------------------------------------------------------


def test_an_older_format_and_what_is_still_in_the_log(machine, tmp_path):
    ada, folder = machine("ada"), tmp_path / "old"
    (folder / "submissions").mkdir(parents=True)
    sha = hashlib.sha256(b"{}").hexdigest()
    (folder / "submissions" / f"{sha}.ipynb").write_bytes(b"{}")
    database = sqlite3.connect(tmp_path / "old.db")
    database.execute("PRAGMA journal_mode = WAL")
    database.executescript(f"BEGIN; {TABLES} {SINCE_1} PRAGMA user_version = 2; COMMIT;")
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with database:
        database.execute("INSERT INTO students VALUES ('s1', 'Mara', '')")
        row = "(NULL, ?, 's1', ?, 'x.ipynb', 'collected', '', '[]', 4.0)"
        database.execute(f"INSERT INTO submissions VALUES {row}", (CHAPTER, sha))
        row = "(NULL, 1, 'why', 0.5, '', '[]', 'bo', 5.0)"
        database.execute(f"INSERT INTO points VALUES {row}")
    for end in ("", "-wal"):  # as a stick has it that was taken out
        shutil.copy(f"{tmp_path}/old.db{end}", f"{folder}/{FILE}{end}")
    assert (folder / f"{FILE}-wal").stat().st_size
    before = files(folder)
    assert merge(ada, folder).new == NOTHING | {"submissions": 1, "decisions": 1}
    assert files(folder) == before
    (one,) = ada.submissions(CHAPTER)["s1"]
    assert (one.collected, one.handed_in) == (4.0, None) and ada.decisions(one)[0].points == 0.5
    database.close()


def test_the_command(house, command, solved):
    for name in ("ada", "bo"):
        (house / name).mkdir()
        command("init", f"{name}/physics", "--roster", "roster.csv")
    for name, student in (("ada", "s1"), ("bo", "s2")):
        (house / f"in {name}" / student).mkdir(parents=True)
        (house / f"in {name}" / student / "exercises.ipynb").write_bytes(content(solved))
        assert command("collect", CHAPTER, f"in {name}", "--class", f"{name}/physics")[0] == 0
        command("mark", CHAPTER, "--class", f"{name}/physics")
    command("points", CHAPTER, "s2", "why", "1", "--class", "bo/physics")
    code, out, _ = command("merge", "bo/physics", "--dry-run", "--class", "ada/physics")
    assert code == 0
    came = "From bo/physics: new submissions 1, markings 1, decisions 1.\n"
    assert out == f"Nothing was written; this would happen.\n{came}"
    code, out, _ = command("merge", "bo/physics", "bo/physics", "--class", "ada/physics")
    assert (code, out) == (0, f"{came}From bo/physics: nothing new.\n")
    code, out, _ = command("status", CHAPTER, "--class", "ada/physics")
    assert "2 graded, 2 missing" in out
    with Records(house / "bo/physics") as records:
        records.add_students([Student("s1", "Mara [b]")])
    code, out, _ = command("merge", "bo/physics", "--class", "ada/physics")
    assert code == 1 and "yours stay: 1\n  s1 is Ünal, Mara here, and Mara [b] there\n" in out
    code, _, errors = command("merge", "roster.csv", "--class", "ada/physics")
    assert code == 2 and "roster.csv is no class" in errors


def test_the_help_teaches(command):
    code, out, _ = command("merge", "--help")
    assert code == 0 and "transferlab class merge" in out.partition("Example")[2]
