"""Rosters as offices and learning platforms write them; faults get a sentence with the row."""

import pytest

from transferlab.errors import InputError
from transferlab.kit.classroom.roster import Student, find_students, read_roster

MARA = Student("17", "Ünal, Mara", "mara@school.org")
BO = Student("18", "Bo Li", "bo@school.org")

GOOD = {
    "plain": 'id,name,e-mail\n17,"Ünal, Mara",mara@school.org\n18,Bo Li,bo@school.org\n'.encode(),
    "semicolons": "ID;Name;Email\r\n17;Ünal, Mara;mara@school.org\r\n"
    "18;Bo Li;bo@school.org".encode(),
    "byte order mark": '\ufeffid,name,e-mail\n17,"Ünal, Mara",mara@school.org\n'
    "18, Bo Li ,bo@school.org\n".encode(),
    "Excel": "id;name;e-mail\n17;Ünal, Mara;mara@school.org\n18;Bo Li;bo@school.org".encode(
        "cp1252"
    ),
    "UTF-16": "id\tname\tmail\n17\tÜnal, Mara\tmara@school.org\n18\tBo Li\tbo@school.org".encode(
        "utf-16"
    ),
    "blank rows": '\n\nid,name,email\n,,\n17,"Ünal, Mara",mara@school.org\n\n'
    "18,Bo Li,bo@school.org\n,,\n".encode(),
    "Canvas": 'Student,ID,SIS User ID,Section,Email\n"    Points Possible",,,,\n'
    '"Ünal, Mara",17,x,1,mara@school.org\nBo Li,18,y,1,bo@school.org\n'.encode(),
}


@pytest.mark.parametrize("kind", GOOD)
def test_rosters_of_all_kinds(kind, tmp_path):
    path = tmp_path / "roster.csv"
    path.write_bytes(GOOD[kind])
    assert read_roster(path) == [MARA, BO]


def test_first_and_last_names_of_moodle(tmp_path):
    path = tmp_path / "roster.csv"
    path.write_text("First name,Last name,ID number,Email address\nMara,Ünal,17,mara@school.org\n")
    assert read_roster(path) == [Student("17", "Mara Ünal", "mara@school.org")]


def test_moodle_in_german(tmp_path):
    (path := tmp_path / "roster.csv").write_text(
        "Vorname;Nachname;ID-Nummer;E-Mail-Adresse\nMara;Ünal;17;mara@school.org\n"
    )
    assert read_roster(path) == [Student("17", "Mara Ünal", "mara@school.org")]
    path.write_text("Vollständiger Name,E-Mail-Adresse\nBo Li,bo@school.org\n")
    assert read_roster(path) == [Student("bo@school.org", "Bo Li", "bo@school.org")]


def test_the_email_address_stands_for_an_empty_id(house, command):
    (house / "roster.csv").write_text(
        "Matrikelnummer,First name,Last name,ID number,Email address,\n"
        "5,Mara,Ünal,17,mara@school.org,\n6,Bo,Li,,bo@school.org,\n7,Cy,Y,,cy@school.org,\n"
    )
    code, out, _ = command("init", "physics", "--roster", "roster.csv")
    assert code == 0 and "Bo Li · bo@school.org · bo@school.org" in out
    assert "ids: 2 e-mail addresses, where the column ID number was empty\n" in out
    assert "ignored: Matrikelnummer\n" in out


def test_two_students_of_one_name_are_two(tmp_path):
    path = tmp_path / "roster.csv"
    path.write_text("email,name\na@x,Bo Li\nb@x,Bo Li\n")
    assert [student.id for student in read_roster(path)] == ["a@x", "b@x"]


BAD = {
    "": "is empty",
    "id,name\n": "no students",
    "number,who\n1,Bo": "row 1: the headings are number, who",
    "id,name\n17,Ünal, Mara\n": "row 2: found 3 cells, expected 2 as in the headings. A name "
    'with a comma needs quotes: "Ünal, Mara".',
    "id,name\n1,A\n\n1,B\n": "row 4: B has the id 1, and so has A",
    "id,name\n,A\n": "row 2: A has no id",
    "id,name\n7,\n": "row 2: the student with the id '7' has no name",
    'id,name\n7,"A\nB"\n': "row 2: the name 'A\\nB' holds a line break",
    "id,name\n7,A\x1b[31m\n": "row 2: the name",
    f"id,name\n7,{'A' * 300}\n": "has 300 characters",
    'id,name\n7,"A': "is no CSV file",
    "id,name\n7,\0": "is no CSV file",
}


@pytest.mark.parametrize("text", BAD, ids=range(len(BAD)))
def test_a_fault_is_named_with_its_row(text, tmp_path):
    path = tmp_path / "roster.csv"
    path.write_text(text)
    with pytest.raises(InputError) as error:
        read_roster(path)
    assert BAD[text] in str(error.value) and str(path) in str(error.value)


def test_a_roster_that_is_not_there(tmp_path):
    for path in (tmp_path / "no.csv", tmp_path):
        with pytest.raises(InputError, match=path.name):
            read_roster(path)


@pytest.mark.parametrize(
    "text",
    [
        "17",
        "Ünal, Mara",
        "Mara Ünal",
        "mara  ünal",
        "unalmara",
        "Mara U\u0308nal",
        "MARA@school.org",
    ],
)
def test_a_student_is_found_by_what_a_folder_is_called(text):
    assert find_students([MARA, BO], text) == [MARA]


def test_nobody_and_several_are_told_apart():
    twins = [Student("1", "Bo Li"), Student("2", "Li, Bo"), Student("3", "Unal, Mara"), MARA]
    assert find_students(twins, "Bo Li") == [twins[0]]
    assert find_students(twins, "libo") == twins[:2]
    assert find_students(twins, "Ünal, Mara") == [MARA]
    assert find_students(twins, "unalmara") == twins[2:]
    assert find_students(twins, "Somebody") == find_students(twins, "") == []
