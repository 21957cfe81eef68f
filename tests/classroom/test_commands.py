"""The commands as a teacher types them, from the roster to the page."""

import zipfile

import pytest
from toy_class import CHAPTER, content, named

ALL = [
    "init",
    "release",
    "collect",
    "mark",
    "status",
    "written",
    "points",
    "accept",
    "feedback",
    "export",
]


def test_a_first_class(house, command, solved, released):
    assert command("init", "physics", "--roster", "roster.csv")[0] == 0
    named(released, "halve")["source"] = "def halve(n):\n    assert 0, '<b>[red]'\n"
    named(solved, "double_check")["source"] = ""
    with zipfile.ZipFile("in.zip", "w") as archive:
        archive.writestr("Mara Ünal_1_assignsubmission_file_/exercises.ipynb", content(solved))
        archive.writestr("s2/exercises.ipynb", content(released))
        archive.writestr("s3/exercises.ipynb", b"{")
        archive.writestr("Somebody/exercises.ipynb", b"{}")
    code, out, _ = command("collect", CHAPTER, "in.zip", "--dry-run")
    assert code == 1 and "Nothing was written" in out and "whose is it: 1" in out
    code, out, _ = command("collect", CHAPTER, "in.zip")
    assert code == 1 and "new: 2" in out and "still missing: 1\n  Cy" in out
    assert "<b>Ada: it holds no valid JSON; was the file cut off?" in out
    code, out, _ = command("status", CHAPTER)
    assert code == 1 and "3 not marked, 1 missing" in out
    code, out, _ = command("mark", CHAPTER, "--jobs", "2")
    assert code == 1 and "Sandbox: here" in out and "3 of 3" in out and "1 unreadable" in out
    code, out, _ = command("mark", CHAPTER)
    assert code == 0 and "Everything is marked." in out
    code, out, _ = command("status", CHAPTER)
    assert code == 1
    assert "2 graded, 1 unreadable, 1 missing, written answers that wait for a person: 1" in out
    assert "9 of 9, 1 waiting" in out and "[red]Bo" in out
    assert "Sandbox: here; at most 1 MiB." in out and "resubmitted" not in out
    page = (house / "physics" / f"{CHAPTER}.html").read_text()
    assert "1 × &lt;b&gt;[red]" in page and "<b>" not in page and "<script" not in page
    assert "double_check: the cell was changed; ours is used." in page
    assert "was the file cut off?" in page


def test_bad_input_ends_with_a_sentence_and_2(house, command):
    def says(expected: str, *arguments: str) -> None:
        code, _, errors = command(*arguments)
        assert code == 2 and expected in errors, errors

    says("is no class", "status", CHAPTER)
    says("roster.csv is a file", "init", "roster.csv", "--roster", "roster.csv")
    says("row 2", "init", "x", "--roster", make(house / "bad.csv", "id,name\n,A"))
    assert not (house / "x").exists()
    command("init", "physics", "--roster", "roster.csv")
    says("has no exercises for '09_x'", "mark", "09_x")
    says("neither a folder nor a zip file", "collect", CHAPTER, "roster.csv")
    command("init", "biology", "--roster", "roster.csv")
    says("there are 2 classes here, biology, physics; name one with --class", "status", CHAPTER)
    assert command("status", CHAPTER, "--class", "physics")[0] == 0
    source = house / "solutions" / CHAPTER / "exercises.ipynb"
    source.write_text(source.read_text().replace("import math", "import cmath"))
    says("is not up to date", "mark", CHAPTER, "--class", "physics")


def make(path, text):
    path.write_text(text)
    return str(path)


def test_a_class_belongs_to_the_teacher_alone(house, command):
    command("init", "physics", "--roster", "roster.csv")
    assert (house / "physics").stat().st_mode & 0o777 == 0o700
    assert (house / "physics" / ".gitignore").read_text() == "*\n"


@pytest.mark.parametrize("name", ALL)
def test_help_teaches(name, command):
    code, out, _ = command(name, "--help")
    assert code == 0 and f"transferlab class {name}" in out.partition("Example")[2]
