"""Points by hand, and flags that withhold: in the table, by command, and after a resubmission."""

import csv
import dataclasses
import sqlite3
from pathlib import Path

import pytest
from toy_class import CHAPTER, content, named

from transferlab.errors import InputError
from transferlab.kit.classroom.decisions import check_points, decided, open_flags
from transferlab.kit.classroom.records import FORMAT, TABLES, Check, Decision, Marking, Records
from transferlab.kit.classroom.status import standings
from transferlab.kit.classroom.written import HEADINGS, read_points, write_answers

CHECKS = (
    Check("double_check", "double", "passed", 2.0, 2.0),
    Check("halve_check", "halve", "passed", 3.0, 3.0),
    Check("halve_again", "halve", "failed", 0.0, 1.0, "No."),
    Check("why", "why", "waiting", None, 1.0),
)
BOTH = ["double_check", "halve_check"]


def read(path):
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.reader(file))


def fill(path, *changes, delimiter=",", encoding="utf-8"):
    """Write the table as a teacher's program does: changed cells by row and heading."""
    rows = read(path)
    for row, heading, value in changes:
        rows[row][HEADINGS.index(heading)] = value
    with path.open("w", encoding=encoding, newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)


def points(records, student=0):
    return standings(records, CHAPTER)[student].points


def test_the_table_goes_out_and_comes_back(marked, edition, solved, tmp_path):
    named(solved, "why")["source"] = '=HYPERLINK("http://evil")\n<script>alert(1)</script>'
    records, table = marked(s1=solved), tmp_path / "table.csv"
    assert len(write_answers(records, edition, table)) == 1
    assert points(records) is None
    assert table.read_bytes().startswith(b"\xef\xbb\xbf")
    headings, row = read(table)
    assert tuple(headings) == HEADINGS
    assert row[1:] == ["why", "'" + named(solved, "why")["source"], "One point.", "1", *[""] * 5]
    assert "Mara" not in table.read_text() + table.with_suffix(".html").read_text()
    shown = table.with_suffix(".html").read_text()
    assert "&lt;script&gt;" in shown and "<script" not in shown and "One point." in shown
    fill(
        table,
        (1, "points", "0,5"),
        (1, "comment", "-1 für Länge"),
        delimiter=";",
        encoding="cp1252",
    )
    with pytest.raises(InputError, match="holds points for 1 answers that are not in the record"):
        write_answers(records, edition, table)
    records.add_decisions(read_points(records, edition, table))
    assert points(records) == 9.5
    assert read_points(records, edition, table) == [], "nothing is new"
    assert write_answers(records, edition, table) == []
    assert read(table)[1][5:7] == ["0.5", "'-1 für Länge"]
    assert read_points(records, edition, table) == []


def test_points_given_elsewhere_meanwhile_stop_no_table(marked, edition, solved, tmp_path):
    records, table = marked(s1=solved, s2=solved), tmp_path / "table.csv"
    write_answers(records, edition, table)
    fill(table, (2, "points", "1"))
    ((filled_in, _),) = read_points(records, edition, table)
    both = [records.submissions(CHAPTER)[student][0] for student in ("s1", "s2")]
    (first,) = (one for one in both if one != filled_in)
    records.add_decisions([(first, Decision("why", 0.5))])
    ((other, decision),) = read_points(records, edition, table)
    assert other == filled_in and decision == Decision("why", 1.0)
    records.add_decisions([(other, decision)])
    write_answers(records, edition, table)
    fill(table, (1, "points", ""))
    with pytest.raises(InputError, match="there are no points; a 0 has to be written as 0"):
        read_points(records, edition, table)


def test_an_old_table_does_not_take_back_what_was_given_since(marked, edition, solved, tmp_path):
    records, table = marked(s1=solved, s2=solved), tmp_path / "table.csv"
    both = [records.submissions(CHAPTER)[student][0] for student in ("s1", "s2")]
    records.add_decisions([(one, Decision("why", 0.5, "-half\nof it")) for one in both])
    write_answers(records, edition, table)
    fill(table, delimiter=";")  # opened and saved
    records.add_decisions([(both[0], Decision("why", 1.0, "-half\nof it"))])
    records.add_decisions([(both[1], Decision("why", 0.5, "Changed."))])
    assert read_points(records, edition, table) == []
    assert write_answers(records, edition, table) == []
    assert sorted(row[5:7] for row in read(table)[1:]) == [
        ["0.5", "Changed."],
        ["1", "'-half\nof it"],
    ]
    row = next(n for n, cells in enumerate(read(table)) if cells[5] == "1")
    fill(table, (row, "comment", "All."))
    assert read_points(records, edition, table) == [(both[0], Decision("why", 1.0, "All."))]
    rows = [cells[:-1] for cells in read(table)]  # as an older version has written it
    with table.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    assert len(read_points(records, edition, table)) == 1


@pytest.mark.parametrize(
    ("heading", "value", "says"),
    [
        ("points", "two", "found 'two', expected a number such as 2.5"),
        ("points", "1.5", "found 1.5 points, expected 0 to 1 in steps of 0.5"),
        ("points", "-1", "expected 0 to 1"),
        ("points", "0.3", "in steps of 0.5"),
        ("points", "nan", "expected 0 to 1"),
        ("comment", "Good", "there are no points; a 0 has to be written as 0"),
        ("number", "zzz", "no answer of this chapter has the number 'zzz'"),
    ],
)
def test_a_faulty_row_gets_a_sentence_and_nothing_is_taken(
    heading, value, says, marked, edition, solved, tmp_path
):
    records, table = marked(s1=solved, s3=solved), tmp_path / "table.csv"
    write_answers(records, edition, table)
    fill(table, (1, "points", "1"), (2, heading, value))
    with pytest.raises(InputError, match=r"row 3: ") as caught:
        read_points(records, edition, table)
    assert says in str(caught.value) and str(caught.value).endswith("Nothing was taken.")
    fill(table, (2, "number", read(table)[1][0]))
    with pytest.raises(InputError, match="is there twice"):
        read_points(records, edition, table)
    table.write_text("number,remark\n1,2\n")
    with pytest.raises(InputError, match="there is no column comment, points"):
        read_points(records, edition, table)


def test_no_marking_overwrites_points_and_a_resubmission_asks_again(
    marked, edition, solved, released, tmp_path
):
    records, table = marked(s1=solved, s2=released), tmp_path / "table.csv"
    write_answers(records, edition, table)
    assert len(read(table)) == 2, "an answer that was not given is not asked for"
    fill(table, (1, "points", "1"), (1, "comment", "Good."))
    records.add_decisions(read_points(records, edition, table))
    (submission,) = records.submissions(CHAPTER)["s1"]
    records.add_marking(submission, "other", dataclasses.replace(Marking("graded"), checks=CHECKS))
    assert points(records) == 6, "marked anew, the 1 by hand stays"
    named(solved, "why")["source"] = "Because."
    marked(s1=solved)
    assert points(records) is None
    assert len(write_answers(records, edition, table)) == 1
    assert read(table)[1][-5:] == ["", "", "1 points. Good.", "", ""]


def test_points_by_hand_count_instead_of_the_marking():
    marking = Marking("graded", checks=CHECKS)
    said = [
        Decision("halve_again", 1.0),
        Decision("halve_again", 0.5, "Nearly."),
        Decision("why", 0),
    ]
    found = decided(marking, said).checks
    assert [(c.status, c.points) for c in found] == [
        ("passed", 2.0),
        ("passed", 3.0),
        ("by hand", 0.5),
        ("by hand", 0),
    ]
    assert found[2].comment == "Nearly." and found[2].message == "No."
    with pytest.raises(InputError, match="expected 0 to 2"):
        check_points(CHECKS[0], float("inf"))


@pytest.mark.parametrize(
    ("flags", "withheld"),
    [
        ((), []),
        (("halve: uses `sys`",), ["halve_check"]),
        (("halve_check: has replaced `len`",), ["halve_check"]),
        (("halve_again: odd",), []),
        (
            ("an answer uses what a cell of the student's own defines: f",),
            ["double_check", "halve_check"],
        ),
        (("None: has replaced `len`", "double: x"), ["double_check", "halve_check"]),
    ],
)
def test_a_flag_withholds_what_it_concerns(flags, withheld):
    marking = Marking("graded", checks=CHECKS, flags=flags)
    found = decided(marking, [])
    assert [c.name for c in found.checks if c.status == "withheld"] == withheld
    assert all(check.points is None for check in found.checks if check.status == "withheld")
    accepted = decided(marking, [Decision(released=flags)])
    assert (accepted.checks, accepted.flags) == (CHECKS, ())


def test_points_by_hand_settle_the_flags_of_their_check():
    flags = ("double: uses `sys`", "halve: uses `os`", "late: everything")
    marking = Marking("graded", checks=CHECKS, flags=flags)
    said = [Decision("double_check", 2.0)]
    assert open_flags(marking, said) == ["halve: uses `os`", "late: everything"]
    said.append(Decision("halve_again", 1.0))
    found = decided(marking, said)
    assert found.flags == ("halve: uses `os`", "late: everything"), "halve_check is not looked at"
    assert [check.status for check in found.checks[:2]] == ["by hand", "withheld"]
    said += [Decision("halve_check", 0.0), Decision("why", 1.0)]
    assert open_flags(marking, said) == []
    unreadable = Marking("crashed", flags=("late: everything",))
    assert open_flags(unreadable, said) == ["late: everything"]


def test_a_flag_that_is_new_withholds_again():
    said = [Decision(released=("double: uses `sys`",))]
    marking = Marking("graded", checks=CHECKS, flags=("double: uses `sys`", "double: uses `os`"))
    assert open_flags(marking, said) == ["double: uses `os`"]
    assert decided(marking, said).checks[0].status == "withheld"
    refused = decided(marking, [Decision("double_check", 0.0, "Hard-coded.")])
    assert refused.checks[0].points == 0.0


@pytest.mark.parametrize("version", [1, 2])
def test_an_older_record_keeps_everything(version, solved, records, marked):
    marked(s1=solved)
    before = records.submissions(CHAPTER), standings(records, CHAPTER)
    records.database.executescript(
        "DROP TABLE settings; ALTER TABLE submissions DROP COLUMN handed_in; "
        "ALTER TABLE submissions DROP COLUMN committed; "
        + "DROP TABLE points; " * (version == 1)
        + f"PRAGMA user_version = {version};"
    )
    (folder,) = [records.folder]
    records.database.close()
    with Records(folder) as opened:
        assert (opened.submissions(CHAPTER), standings(opened, CHAPTER)) == before
        (submission,) = opened.submissions(CHAPTER)["s1"]
        opened.add_decisions([(submission, Decision("why", 0.5, "half"))])
        with pytest.raises(sqlite3.IntegrityError):
            stranger = dataclasses.replace(submission, number=99)
            opened.add_decisions([(submission, Decision("why", 1)), (stranger, Decision("why", 1))])
        assert opened.decisions(submission) == [Decision("why", 0.5, "half")], "all or nothing"
        assert opened.database.execute("PRAGMA user_version").fetchone() == (FORMAT,)
    assert "points" not in TABLES


def test_the_commands_accept_and_points(house, command, solved):
    named(solved, "double")["source"] = "def double(n):\n    twice = 2\n    return twice * n"
    solved["cells"].append({**solved["cells"][1], "source": "def twice(): pass", "id": "own"})
    for student, data in (("s1", content(solved)), ("s2", b"{")):
        (house / "in" / student).mkdir(parents=True)
        (house / "in" / student / "exercises.ipynb").write_bytes(data)
    command("init", "physics", "--roster", "roster.csv")
    command("collect", CHAPTER, "in")
    assert "1 unreadable" in command("mark", CHAPTER)[1]
    code, out, _ = command("status", CHAPTER)
    assert code == 1 and "flagged checks whose points are withheld: 1" in out
    code, out, _ = command("accept", CHAPTER, "Mara Ünal")
    flag = "double: uses what a cell of the student's own defines: twice"
    assert (code, out) == (0, f"accepted: {flag}\n")
    assert command("accept", CHAPTER, "s1")[1] == "There is nothing to accept.\n"
    code, out, _ = command("points", CHAPTER, "s1", "why", "0.5", "--comment", "Short.")
    assert out == "why: 0.5 of 1 points by hand.\n"
    for comment, kept in (([], "Short."), (["--comment", ""], ""), ([], "")):
        command("points", CHAPTER, "s1", "why", "0.5", *comment)
        with Records(house / "physics") as records:
            assert standings(records, CHAPTER)[0].marking.checks[-1].comment == kept
    code, out, _ = command("status", CHAPTER)
    assert code == 1 and "9.5 of 10" in out
    assert command("accept", CHAPTER, "s2")[1] == "accepted: unreadable\n"
    code, out, _ = command("status", CHAPTER)
    assert code == 0 and "accepted" in out
    for arguments, says in (
        (("points", CHAPTER, "s1", "why", "2"), "expected 0 to 1"),
        (("points", CHAPTER, "s1", "what", "1"), "has no 'what' for s1; there is double_check"),
        (("points", CHAPTER, "s2", "why", "1"), "it could not be marked; see `accept`"),
        (("points", "01_b", "s1", "why", "1"), "was handed in for '01_b'; there are 01_a."),
        (("accept", "01_b", "s1"), "nothing was handed in for '01_b'; there are 01_a."),
        (("accept", CHAPTER, "s4"), "Cy has handed in nothing"),
        (("accept", CHAPTER, "nobody"), "nobody in the class is called 'nobody'"),
    ):
        code, _, errors = command(*arguments)
        assert code == 2 and says in errors, errors


def test_an_answer_that_lacks_its_helper_waits_for_a_person(house, command, solved):
    """It fails, as the helper is left out; that is no 0 before somebody has looked."""
    named(solved, "double")["source"] = "def double(n):\n    return twice(n)"
    own = {**solved["cells"][1], "source": "def twice(n):\n    return 2 * n", "id": "own"}
    solved["cells"].insert(2, own)
    (house / "in/s1").mkdir(parents=True)
    (house / "in/s1/exercises.ipynb").write_bytes(content(solved))
    command("init", "physics", "--roster", "roster.csv")
    command("collect", CHAPTER, "in")
    command("mark", CHAPTER)
    command("points", CHAPTER, "s1", "why", "1")
    code, out, _ = command("status", CHAPTER)
    assert code == 1 and "which was left out, please look: 1" in out
    code, _, errors = command("export", CHAPTER, "--to", "grades.csv", "--final")
    assert code == 2 and "please look" in errors and not Path("grades.csv").exists()
    command("points", CHAPTER, "s1", "double_check", "2")
    assert command("accept", CHAPTER, "s1")[1] == "There is nothing to accept.\n"
    assert command("export", CHAPTER, "--to", "grades.csv", "--final")[0] == 0
