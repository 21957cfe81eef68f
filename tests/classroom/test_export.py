"""Grades leave the house: in a table of our own, and in the files of Moodle and Canvas."""

import csv
import json

import pytest
from toy_class import CHAPTER, content, named

from transferlab.errors import InputError
from transferlab.kit.classroom.export import fill_in, write_grades
from transferlab.kit.classroom.records import Check, Marking, Submission
from transferlab.kit.classroom.roster import Student
from transferlab.kit.classroom.status import Standing, standings

MARA, BO, ADA, CY = (
    Student("s1", "Ünal, Mara", "mara@school"),
    Student("s2", "Bo Li", "bo@school"),
    Student("s3", "Ada X", "ada@school"),
    Student("s4", "Cy Y"),
)


def standing(student, points):
    status = "waiting" if points is None else "passed"
    checks = (Check("why", "why", status, points, 10.0),)
    return Standing(student, (Submission(student.id, "0", ""),), Marking("graded", checks=checks))


FOUND = [standing(MARA, 9.5), standing(BO, None), standing(ADA, 0.0), Standing(CY)]
WORKSHEET = (
    '\ufeffIdentifier,"Full name","Email address",Status,Grade,"Maximum grade",Comments\r\n'
    '"Participant 7","Mara Ünal",mara@school,"Submitted - ",,10.00,"He said ""hm"",\r\ntwice"\r\n'
    '"Participant 8","Bo Li",bo@school,Submitted,,10.00,\r\n'
    '"Participant 9","Ada X",ada@school,Submitted,"5,00",10.00,\r\n'
    '"Participant 5","Cy Y",cy@school,"No submission",,10.00,\r\n'
    '"Participant 6","Some Body",x@school,,,10.00,'
)
CANVAS = (
    "Student,ID,SIS User ID,SIS Login ID,Section,Exercises 1 (12),01 A (345),Final Score\n"
    ",,,,,Manual Posting,,\n"
    "    Points Possible,,,,,5.00,10.00,(read only)\n"
    '"Ünal, Mara",901,s1,mara,"Physics, A",3.0,,30.1\n'
    '"Li, Bo",902,s2,bo,"Physics, A",,4.0,\n'
    '"X, Ada",903,s3,ada,"Physics, A",,EX,\n'
    '"Student, Test",904,,,"Physics, A",,,\n'
)


def filled(tmp_path, text, encoding="utf-8", found=FOUND, column="", edition=None):
    path = tmp_path / "file.csv"
    path.write_bytes(text.encode(encoding))
    content, lines = fill_in(found, edition, path, column)
    return content.decode(encoding), dict(lines)


def test_moodles_grading_worksheet(tmp_path, edition):
    text, lines = filled(tmp_path, WORKSHEET, edition=edition)
    changes = {'Submitted - ",,10': 'Submitted - ",9.5,10', '"5,00"': '"0"'}
    expected = WORKSHEET
    for old, new in changes.items():
        assert expected.count(old) == 1
        expected = expected.replace(old, new)
    assert text == expected
    assert lines["Grade, new"] == ["Ünal, Mara: empty → 9.5", "Ada X: 5,00 → 0"]
    assert lines["stays as it is"] == ["Bo Li: waiting", "Cy Y: missing"]
    assert lines["in the file, but not in the class"] == ["Participant 6, Some Body, x@school"]
    again, lines = filled(tmp_path, text, edition=edition)
    assert again == text and "Grade, new" not in lines


@pytest.mark.parametrize("column", ["01 A", "01 A (345)"])
def test_canvas_gradebook(column, tmp_path, edition):
    text, lines = filled(tmp_path, CANVAS, edition=edition, column=column)
    assert text == CANVAS.replace("3.0,,30.1", "3.0,9.5,30.1"), "EX and what waits stay"
    assert lines["in the file, but not in the class"][-1].startswith("Student, Test")


def test_moodles_gradebook_and_other_encodings(tmp_path, edition):
    text = (
        "First name;Last name;ID number;Email address;Assignment: Week 1 (Real);Total (Real)\n"
        "Mara;Ünal;s1;mara@school;-;-\nAda;X;;ada@school;-;\n"
    )
    expected = text.replace("mara@school;-", "mara@school;9.5").replace(
        "ada@school;-", "ada@school;0"
    )
    for encoding in ("utf-8", "latin-1"):
        assert filled(tmp_path, text, encoding, edition=edition, column="Week 1")[0] == expected


@pytest.mark.parametrize(
    ("old", "new", "column", "says"),
    [
        ("Identifier", "Number", "", "has 5 columns of the name '01_a'; name one with --column"),
        ("Grade,", "Points,", "Grade", "has no columns of the name 'Grade'"),
        (",10.00,\r\n", ",100.00,\r\n", "", "counts to 100.00, the chapter to 10"),
        ('"Bo Li",bo@', '"Mara Ünal",mara@', "", "has two rows for Ünal, Mara"),
        ('"Bo Li"', '"Bo" Li', "", "row 3: this is no CSV; a quote is out of place"),
        ('"No submission"', '"No submission', "", "a quote is out of place"),
    ],
)
def test_a_file_that_cannot_be_meant(old, new, column, says, tmp_path, edition):
    with pytest.raises(InputError) as caught:
        filled(tmp_path, WORKSHEET.replace(old, new), edition=edition, column=column)
    assert says in str(caught.value)


def test_read_only_columns_of_canvas(tmp_path, edition):
    with pytest.raises(InputError, match="Final Score counts to"):
        filled(tmp_path, CANVAS, edition=edition, column="Final Score")


def test_a_row_whose_parts_disagree_is_nobodys(tmp_path, edition):
    """Ids of two systems may be the same number; the name then tells another student."""
    text = "ID,Student,a\ns1,Bo Li,\ns3,Ada X,\n"
    text, lines = filled(tmp_path, text, edition=edition, column="a")
    assert text == "ID,Student,a\ns1,Bo Li,\ns3,Ada X,0\n"
    assert lines["in the file, but not in the class"] == ["s1, Bo Li, "]
    assert lines["a grade, but not in the file"] == ["Ünal, Mara"]
    twins = [*FOUND, standing(Student("s5", "Ada X"), 7.0)]
    text, _ = filled(tmp_path, "Student,a\nAda X,\n", edition=edition, column="a", found=twins)
    assert text == "Student,a\nAda X,\n"


def test_our_own_table(marked, records, edition, solved, released, tmp_path):
    records.add_students([Student("=1+1", '@"Cy"'), Student("s5", "No Body")])
    named(solved, "why")["source"] = named(released, "why")["source"]
    marked({"=1+1.ipynb": b"{"}, s1=solved, s3=released)
    found = standings(records, CHAPTER)
    write_grades(found, edition, tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_bytes().startswith(b'\xef\xbb\xbf"id","name","status","late"')
    with (tmp_path / "a.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [
        [
            *[
                "id",
                "name",
                "status",
                "late",
                "points",
                "worth",
                "double_check",
                "halve_check",
                "Pile_check",
                "why",
            ]
        ],
        ["s1", "Ünal, Mara", "graded", "", "9", "10", "2", "3", "4", "0"],
        ["s2", "Bo Li", "missing", "", "", "10", "", "", "", ""],
        ["s3", "Ada", "graded", "", "0", "10", "0", "0", "0", "0"],
        ["'=1+1", '\'@"Cy"', "unreadable", "", "", "10", "", "", "", ""],
        ["s5", "No Body", "missing", "", "", "10", "", "", "", ""],
    ]
    write_grades(found, edition, tmp_path / "a.json")
    first, second, *_ = json.loads((tmp_path / "a.json").read_text())
    assert (first["points"], first["halve_check"]) == (9.0, 3.0)
    assert (second["points"], second["status"]) == (None, "missing")
    with pytest.raises(InputError, match=r"expected \.csv or \.json"):
        write_grades(found, edition, tmp_path / "a.xlsx")


def test_the_command(house, command, solved):
    (house / "in" / "s1").mkdir(parents=True)
    (house / "in" / "s1" / "exercises.ipynb").write_bytes(content(solved))
    command("init", "physics", "--roster", "roster.csv")
    command("collect", CHAPTER, "in")
    platform = house / "moodle.csv"
    platform.write_text("Identifier,Full name,Grade\n1,Mara Ünal,\n")
    before = platform.read_bytes()
    code, out, _ = command("export", CHAPTER, "--into", platform)
    assert code == 1 and "to be marked, or marked again: 1" in out and "not marked" in out
    command("mark", CHAPTER)
    code, out, _ = command("export", CHAPTER, "--into", platform)
    assert code == 1 and "Ünal, Mara: waiting" in out and platform.read_bytes() == before
    code, _, errors = command("export", CHAPTER, "--to", "a.csv", "--final")
    assert code == 2 and "not final, nothing was written: Ünal, Mara: waiting." in errors
    assert not (house / "a.csv").exists()
    command("points", CHAPTER, "s1", "why", "1")
    code, out, _ = command("export", CHAPTER, "--into", platform, "--dry-run")
    assert code == 0 and "Mara: empty → 10" in out and platform.read_bytes() == before
    code, out, _ = command("export", CHAPTER, "--into", platform, "--final")
    assert code == 0 and out.endswith(f"\nWritten: {platform}, 1 grades\n")
    assert platform.read_text() == "Identifier,Full name,Grade\n1,Mara Ünal,10\n"
    assert command("export", CHAPTER, "--to", "a.csv")[0] == 0 and (house / "a.csv").exists()
    code, _, errors = command("export", CHAPTER)
    assert code == 2 and "where to?" in errors
    assert command("feedback", CHAPTER)[0] == 0
    assert (house / "physics" / "feedback" / f"{CHAPTER}.zip").is_file()


def test_moodle_in_german(tmp_path, edition):
    worksheet = (
        "ID,Vollständiger Name,E-Mail-Adresse,Status,Bewertung,Bestwertung\n"
        'Teilnehmer/in7,Mara Ünal,mara@school,Abgegeben,,"10,00"\n'
    )
    text, lines = filled(tmp_path, worksheet, edition=edition)
    assert text == worksheet.replace("Abgegeben,,", "Abgegeben,9.5,")
    assert lines["Bewertung, new"] == ["Ünal, Mara: empty → 9.5"]
    with pytest.raises(InputError, match="Bewertung counts to 9,00, the chapter to 10"):
        filled(tmp_path, worksheet.replace("10,00", "9,00"), edition=edition)
    gradebook = "Vorname;Nachname;ID-Nummer;Aufgabe: 01 A (Punkte)\nMara;Ünal;;-\n"
    text, _ = filled(tmp_path, gradebook, edition=edition, column="01 A")
    assert text == gradebook.replace(";-", ";9.5")
