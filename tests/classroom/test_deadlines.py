"""Due dates, grace, late days, last or best: which submission counts, and what a late one gets."""

import copy
import json
from dataclasses import replace

import pytest
from toy_class import CHAPTER, Here, Limits, content, named

from transferlab.errors import InputError
from transferlab.kit.classroom.collect import collect
from transferlab.kit.classroom.deadlines import (
    LATE_DAYS,
    Rules,
    candidates,
    counted,
    read_time,
    read_times,
    rules_of,
    set_rules,
)
from transferlab.kit.classroom.marking import mark_class, unmarked
from transferlab.kit.classroom.records import Records, Submission
from transferlab.kit.classroom.roster import Student
from transferlab.kit.classroom.status import standings
from transferlab.kit.classroom.written import carry_over

DAY = 86_400
DUE = read_time("2026-12-01T12:00")


def hand_in(
    records: Records, *after: float | None, chapter: str = CHAPTER, student: str = "s1"
) -> None:
    """Record submissions, handed in so many days after the due date; None: nobody knows when."""
    for days in after:
        number = len(records.submissions(chapter).get(student, ()))
        at = None if days is None else DUE + days * DAY
        one = Submission(student, f"{chapter} {number}", "x.ipynb", collected=DUE + 9 * DAY)
        records.add_submission(chapter, replace(one, handed_in=at))


@pytest.mark.parametrize(
    ("rules", "allowed", "after", "which", "late"),
    [
        (Rules(), 0, [9.0], 0, ""),
        (Rules(DUE), 0, [0.0], 0, ""),
        (Rules(DUE), 0, [1 / DAY], 0, "1 day late, 0 left"),
        (Rules(DUE, grace=15), 0, [15 / 1440], 0, ""),
        (Rules(DUE, grace=15), 0, [16 / 1440], 0, "1 day late, 0 left"),
        (Rules(DUE), 2, [1.5], 0, "2 days late, 2 left"),
        (Rules(DUE), 2, [2.5], 0, "3 days late, 2 left"),
        (Rules(DUE), 0, [-1.0, -0.5], 1, ""),
        (Rules(DUE), 0, [-1.0, 0.5], 0, ""),  # what came too late does not replace what did not
        (Rules(DUE), 1, [-1.0, 0.5], 1, "1 day late, 1 left"),
        (Rules(DUE), 1, [2.5, 1.5], 1, "2 days late, 1 left"),
        (Rules(DUE), 0, [None], 0, "time not known"),
        (Rules(), 0, [None], 0, ""),
    ],
)
def test_which_submission_counts_and_how_late_it_is(records, rules, allowed, after, which, late):
    records.set(LATE_DAYS, {"days": allowed})
    set_rules(records, CHAPTER, rules)
    hand_in(records, *after)
    one = counted(records, CHAPTER)["s1"]
    assert (one.submission, one.late) == (records.submissions(CHAPTER)["s1"][which], late)
    assert one.too_late == (one.days > allowed)


def test_late_days_are_used_up_in_the_order_of_the_due_dates(records):
    records.set(LATE_DAYS, {"days": 3})
    set_rules(records, "02_b", Rules(DUE + 7 * DAY))
    set_rules(records, "01_a", Rules(DUE))
    hand_in(records, 1.5)
    hand_in(records, 8.0, chapter="02_b")
    hand_in(records, 8.5, chapter="02_b", student="s2")
    found = {student: one.late for student, one in counted(records, "02_b").items()}
    assert found == {"s1": "1 day late, 1 left", "s2": "2 days late, 3 left"}
    set_rules(records, "01_a", Rules(DUE + 30 * DAY))  # put off: nobody is late there any more
    assert counted(records, "02_b")["s1"].late == "1 day late, 3 left"
    set_rules(records, "01_a", Rules(DUE - 3 * DAY))  # too late there: that uses up nothing
    assert counted(records, "02_b")["s1"].late == "1 day late, 3 left"


def test_what_was_here_before_the_date_was_in_time(records):
    set_rules(records, CHAPTER, Rules(DUE))
    records.add_submission(CHAPTER, Submission("s1", "a", "x.ipynb", collected=DUE - 1))
    assert counted(records, CHAPTER)["s1"].late == ""
    late = Submission("s2", "b", "unalmara_LATE_1_2_exercises.ipynb", collected=DUE + 1)
    records.add_submission(CHAPTER, late)
    assert counted(records, CHAPTER)["s2"].late == "late, nobody knows how much"
    assert counted(records, CHAPTER)["s2"].too_late
    records.add_submission(CHAPTER, replace(late, handed_in=DUE - 5))  # Canvas has another date
    assert not counted(records, CHAPTER)["s2"].too_late


def test_the_first_time_that_is_known_stays(records, tmp_path, released):
    path = tmp_path / "in/s1/exercises.ipynb"
    path.parent.mkdir(parents=True)
    path.write_bytes(content(released))
    for times in ({}, {"s1": DUE}, {"s1": DUE + 99}):  # the same file again is no new submission
        collect(records, CHAPTER, tmp_path / "in", ["double"], times)
    (one,) = records.submissions(CHAPTER)["s1"]
    assert one.handed_in == DUE


def test_the_best_counts_when_it_is_to(marked, records, edition, solved):
    worse = copy.deepcopy(solved)
    named(worse, "halve")["source"] = "def halve(n):\n    return n // 2"
    set_rules(records, CHAPTER, Rules(counts="best"))
    marked(s1=solved)
    marked(s1=worse)
    first, second = records.submissions(CHAPTER)["s1"]
    assert list(candidates(records, CHAPTER)) == [first, second], "both have to be marked"
    assert counted(records, CHAPTER)["s1"].submission == first
    set_rules(records, CHAPTER, Rules())
    assert counted(records, CHAPTER)["s1"].submission == second
    assert not unmarked(records, edition)


def test_a_late_one_gets_nothing_until_a_person_accepts(
    house, command, solved, tmp_path, monkeypatch
):
    bundle = "transferlab.kit.classroom.release.write_bundle"
    monkeypatch.setattr(bundle, lambda *arguments: None)  # the toy course has no lessons
    command("init", "physics", "--roster", "roster.csv", "--late-days", "1")
    code, out, _ = command("release", CHAPTER, "--due", "2020-01-01", "--to", "students.zip")
    assert code == 0, out
    assert "10 points, due Wednesday, 01 January 2020, 23:59; the last submission counts" in out
    for name in ("s1", "s2"):
        (tmp_path / "in" / name).mkdir(parents=True)
        (tmp_path / "in" / name / "exercises.ipynb").write_bytes(content(solved))
    (tmp_path / "times.csv").write_text(
        "Identifier,Full name,Email address,Last modified (submission)\n"
        'Participant 7,Mara Ünal,-,"Thursday, 2 January 2020, 9:00 AM"\n'
        'Participant 8,[red]Bo,,"Friday, January 3, 2020, 9:00 AM"\nParticipant 9,Cy,,-\n'
    )
    command("collect", CHAPTER, "in", "--times", "times.csv")
    command("mark", CHAPTER)
    assert "late or not known: 2" in command("status", CHAPTER)[1]
    page = (
        (house / "physics" / f"{CHAPTER}.html").read_text().replace(" style='text-align:left'", "")
    )
    assert "<td>9 of 9, 1 waiting</td><td></td><td>1 day late, 1 left" in page, "it is allowed"
    assert "<td>0 of 0, 9 withheld, 1 waiting</td>" in page and "<td>2 days late, 1 left" in page
    code, out, _ = command("accept", CHAPTER, "s2")
    assert code == 0 and "accepted: it was handed in too late: 2 days late, 1 left" in out
    with Records(house / "physics") as records:
        assert [one.marking.points for one in standings(records, CHAPTER)[:2]] == [9, 9]
    command("export", CHAPTER, "--to", "grades.json")
    rows = json.loads((house / "grades.json").read_text())
    assert [row["late"] for row in rows[:2]] == ["1 day late, 1 left", "2 days late, 1 left"]
    command("release", CHAPTER, "--grace", "600", "--to", "students.zip")
    with Records(house / "physics") as records:
        assert rules_of(records, CHAPTER) == Rules(read_time("2020-01-01"), 600, "last")
        assert [one.late for one in standings(records, CHAPTER)][:2] == ["", "1 day late, 1 left"]


def test_an_answer_that_has_not_changed_keeps_its_points(marked, edition, solved):
    from transferlab.kit.classroom.records import Decision

    records = marked(s1=solved)
    (first,) = records.submissions(CHAPTER)["s1"]
    records.add_decisions([(first, Decision("why", 0.5, "Half."))])
    named(solved, "halve")["source"] = "def halve(n):\n    return n / 2.0"
    marked(s1=solved)
    assert carry_over(records, edition) == 1 and carry_over(records, edition) == 0
    (one,) = [one for one in standings(records, CHAPTER) if one.student.id == "s1"]
    assert one.points == 9.5 and one.marking.checks[-1].comment == "Half."
    named(solved, "why")["source"] = "Because labels are dear."
    marked(s1=solved)
    assert carry_over(records, edition) == 0, "another answer waits for a person"


def test_bad_dates_and_tables_get_a_sentence(tmp_path, records, edition):
    with pytest.raises(InputError, match=r"'next week' is no date; expected such as 2026-12-01"):
        read_time("next week")
    with pytest.raises(InputError, match="'first' cannot count; expected one of last, best"):
        set_rules(records, CHAPTER, Rules(counts="first"))
    (table := tmp_path / "times.csv").write_text("id,grade\ns1,3\n")
    with pytest.raises(InputError, match=r"times.csv, row 1: no column says when; expected last"):
        read_times(table, [Student("s1", "Mara")])
    table.write_text("id,handed in\ns1,soon\n")
    with pytest.raises(InputError, match=r"times.csv, row 2: 'soon' is no date"):
        read_times(table, [Student("s1", "Mara")])
    table.write_text("id,handed in\ns1,2026-12-01T12:00\ns9,2026-12-02\ns2,-\n")
    assert read_times(table, [Student("s1", "Mara"), Student("s2", "Bo")]) == {"s1": DUE}


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("Freitag, 27. November 2026, 20:00", "2026-11-27"),
        ("Sonntag, 1. März 2026, 20:00", "2026-03-01"),
        ("Fr, 4. Dez. 2026, 20:00 Uhr", "2026-12-04"),
        ("Friday, 27 November 2026, 8:00 PM", "2026-11-27"),
        ("05.12.2026 20:00", "2026-12-05"),
        ("13/12/2026 20:00", "2026-12-13"),
        ("12/13/2026 20:00", "2026-12-13"),
        ("05/05/2026 20:00", "2026-05-05"),
        ("2026-12-05T20:00", "2026-12-05"),
    ],
)
def test_dates_of_all_kinds(text, day, tmp_path):
    (table := tmp_path / "times.csv").write_text(f'id;Zuletzt geändert (Abgabe)\ns1;"{text}"\n')
    assert read_times(table, [Student("s1", "Mara")]) == {"s1": read_time(f"{day}T20:00")}


def test_a_date_that_can_be_two_is_refused_unless_another_says_which(tmp_path):
    table, students = tmp_path / "times.csv", [Student("s1", "Mara"), Student("s2", "Bo")]

    def read(*dates: str) -> list[float]:
        rows = [f"s{n},{date} 12:00" for n, date in enumerate(dates, start=1)]
        table.write_text("\n".join(["id,handed in", *rows]))
        return list(read_times(table, students).values())

    assert read("05/12/2026", "13/12/2026", "2026-01-02")[0] == read_time("2026-12-05T12:00")
    assert read("05/12/2026", "12/13/2026")[0] == read_time("2026-05-12T12:00")
    for dates in (["2026-12-01", "05/12/2026"], ["13/12/2026", "05/12/2026", "12/13/2026"]):
        with pytest.raises(InputError) as caught:
            read(*dates)
        sentence = "row 3: 05/12/2026 12:00 is 5 December or 12 May; write 2026-12-05."
        assert str(caught.value).endswith(sentence)


def test_marking_does_not_care_about_dates(records, edition, solved, tmp_path):
    set_rules(records, CHAPTER, Rules(DUE))
    hand_in(records, 3.0)
    (tmp_path / "class/submissions").mkdir()
    (one,) = records.submissions(CHAPTER)["s1"]
    records.file_of(one.sha).write_bytes(content(solved))
    mark_class(records, edition, Here(), Limits())
    assert records.marking(one).points == 9, "the record knows what the answers are worth"
