"""nbgrader's formgrader: what it gets to see, and the points that come back."""

import json
import shutil

import nbformat
import pytest
from nbconvert import HTMLExporter
from nbgrader.api import Gradebook
from toy_class import CHAPTER, named

from transferlab.errors import InputError
from transferlab.kit.classroom.formgrader import read_course, write_course
from transferlab.kit.classroom.records import Decision
from transferlab.kit.classroom.status import standings

EVIL = (
    "<script>alert(1)</script>\n\n```\n</code></pre><img src=x onerror=alert(2)>\n```\n"
    "[here](javascript:alert(3)) $\\href{javascript:alert(4)}{x}$\n\n```mermaid\ngraph TD\n```"
)


@pytest.fixture
def folder(marked, edition, solved, tmp_path):
    """The folder of a class in which one student has answered, and one is hostile."""
    hostile = json.loads(json.dumps(solved))
    named(hostile, "why")["source"] = EVIL
    named(hostile, "double")["outputs"] = [{"output_type": "display_data", "data": {}}]
    records = marked(s1=solved, s2=hostile, s3=b"{")
    assert write_course(records, edition, tmp_path / "forms") == 2, "what cannot be read is not in"
    return tmp_path / "forms"


def opened(folder):
    return Gradebook(f"sqlite:///{folder / 'gradebook.db'}", "class")


def give(folder, number, points, comment=""):
    with opened(folder) as book:
        where = "exercises", CHAPTER, number
        book.find_grade("why", *where).manual_score = points
        book.find_comment("why", *where).manual_comment = comment
        book.db.commit()


def test_points_come_back_and_stay(folder, records, edition, marked, solved):
    with opened(folder) as book:
        numbers = [student.id for student in book.students]
        where = "exercises", CHAPTER, numbers[0]
        assert book.find_grade("why", *where).needs_manual_grade
        assert book.find_grade("double_check", *where).auto_score == 2
        assert book.find_submission(CHAPTER, numbers[0]).max_score == 10
    assert read_course(records, edition, folder) == []
    for number in numbers:
        give(folder, number, 0.5, "Which labels?")
    with pytest.raises(InputError, match="holds points for 2 answers that are not in the record"):
        write_course(records, edition, folder)
    records.add_decisions(read_course(records, edition, folder))
    assert read_course(records, edition, folder) == [], "the record knows it now"
    assert [one.points for one in standings(records, CHAPTER)] == [9.5, 9.5, None]
    assert write_course(records, edition, folder) == 2, "anew, with what is decided in it"
    with opened(folder) as book:
        assert book.find_grade("why", "exercises", CHAPTER, numbers[0]).manual_score == 0.5
    marked(s1=solved)
    one = standings(records, CHAPTER)[0]
    assert one.marking.checks[-1].comment == "Which labels?"
    submission = records.submissions(CHAPTER)["s1"][-1]
    records.add_decisions([(submission, Decision("why", 1.0, "Well said."))])
    assert read_course(records, edition, folder) == [], "what was given elsewhere since then stays"


def test_impossible_points_are_not_taken(folder, records, edition):
    with opened(folder) as book:
        one, other = (student.id for student in book.students)
    give(folder, one, 1)
    give(folder, other, 7)
    with pytest.raises(InputError, match=r"why: found 7 points, expected 0 to 1.*\nNothing was"):
        read_course(records, edition, folder)
    with pytest.raises(InputError, match=r"holds no gradebook.db; write the folder"):
        read_course(records, edition, folder.parent)


def test_no_name_and_nothing_that_runs(folder):
    texts = [path.read_text() for path in folder.rglob("*.ipynb")]
    content = "\n".join([*texts, (folder / "gradebook.db").read_bytes().decode("latin-1")])
    assert "Mara" not in content and "mara@school" not in content and "s1" not in content
    assert "BEGIN MARK SCHEME" not in content, "the folder may lie where others look"
    for text in texts:
        notebook = nbformat.reads(text, as_version=4)
        assert not any(cell.get("outputs") for cell in notebook.cells)
        page, _ = HTMLExporter(template_name="basic").from_notebook_node(notebook)
        for run in ("<script>alert", "<img src=x", 'href="javascript', 'class="mermaid"'):
            assert run not in page, run


def test_the_command(house, command, solved):
    command("init", "physics", "--roster", "roster.csv")
    (house / "in/s1").mkdir(parents=True)
    (house / "in/s1/exercises.ipynb").write_text(json.dumps(solved))
    command("collect", CHAPTER, "in")
    command("mark", CHAPTER)
    code, out, _ = command("written", CHAPTER, "--formgrader")
    folder = house / "physics" / f"{CHAPTER}_formgrader"
    assert code == 0 and f"Submissions: 1 in {folder}" in out and "jupyter lab" in out
    with opened(folder) as book:
        (number,) = (student.id for student in book.students)
    give(folder, number, 1)
    code, out, _ = command("written", CHAPTER, "--take", folder)
    assert code == 0 and "Taken: 1 answers." in out
    assert command("written", CHAPTER, "--take", folder)[1].startswith("Taken: 0 answers.")
    shutil.rmtree(folder)
    code, _, errors = command("written", CHAPTER, "--take", folder)
    assert code == 2 and "cannot be read" in errors
