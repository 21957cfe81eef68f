"""The student's and the teacher's page: map and times are those of the lessons."""

import re
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbformat import v4
from toy_course import write_lesson, write_solved

from transferlab.errors import InputError
from transferlab.kit import pages
from transferlab.kit.ledger import read_ledger

COURSE = Path(__file__).parents[2] / "course"
STUDENTS = f"# The course\n\n{pages.MAP_BEGINS}\nold\n{pages.MAP_ENDS}\n\nThe end.\n"
TEACHERS = """# Teaching

| lesson | 90 |
| --- | --- |
| [One](01_a/01_one.ipynb) | left alone |

| when | what | minutes | the run itself |
| --- | --- | ---: | ---: |
| Monday | [One](01_a/01_one.ipynb), again [One](01_a/01_one.ipynb) | | |
| Tuesday | talk | | |
| Tuesday | [Two](01_a/02_two.ipynb) and [Exercises](01_a/exercises.ipynb) | 1 | 2 s |
| **in all** | | | |
"""


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "course"
    write_lesson(folder, "01_a/01_one", title="One", minutes=10)
    write_lesson(folder, "01_a/02_two", title="Two", minutes=30)
    notebook = nbformat.read(folder / "01_a/01_one.ipynb", as_version=4)
    notebook.cells[0].source += "\n\n**You need** lesson [Zero](../00_z/01_zero.ipynb), a | b."
    nbformat.write(notebook, folder / "01_a/01_one.ipynb")
    header = v4.new_markdown_cell("# Exercises\n\n20 points · about 45 minutes · needs: two")
    header.metadata["tags"] = ["header"]
    nbformat.write(v4.new_notebook(cells=[header]), folder / "01_a/exercises.ipynb")
    (folder / "ledger.json").write_text(
        '{"01_a/01_one": {"seconds": 41.2, "peak_mib": 950},'
        ' "01_a/02_two": {"seconds": 8.4, "peak_mib": 950}}'
    )
    (folder / pages.STUDENTS).write_text(STUDENTS)
    (folder / pages.TEACHERS).write_text(TEACHERS)
    return folder


def test_the_students_map_names_lessons_minutes_seconds_and_needs(course: Path) -> None:
    pages.write_pages(course, read_ledger(course))
    lines = (course / pages.STUDENTS).read_text().splitlines()
    assert lines[:2] == ["# The course", ""]
    assert lines[-1] == "The end."
    assert "old" not in lines
    assert "| 1 | [One](01_a/01_one.ipynb) | 10 | 41 s | lesson Zero, a \\| b. |" in lines
    assert "| 2 | [Two](01_a/02_two.ipynb) | 30 | 8 s |  |" in lines
    assert "| | [Exercises](01_a/exercises.ipynb) | 45 | | 20 points |" in lines
    assert "In all about 85 minutes, 1 hours." in lines


def test_a_schedule_gets_the_minutes_and_seconds_of_its_lessons(course: Path) -> None:
    filled = pages.fill_times(TEACHERS, course, read_ledger(course)).splitlines()
    monday, talk, tuesday, total = filled[-4:]
    assert monday.endswith("again [One](01_a/01_one.ipynb) | 10 | 41 s |")
    assert talk == "| Tuesday | talk | | |"
    assert tuesday.endswith("[Exercises](01_a/exercises.ipynb) | 75 | 8 s |")
    assert total == "| **in all** | | 85 | 50 s |"
    assert filled[:7] == TEACHERS.splitlines()[:7]


def test_filling_twice_changes_nothing(course: Path) -> None:
    once = pages.fill_times(TEACHERS, course, read_ledger(course))
    assert pages.fill_times(once, course, read_ledger(course)) == once


def test_a_schedule_that_leads_to_nowhere_is_refused(course: Path) -> None:
    text = TEACHERS.replace("02_two", "03_three")
    with pytest.raises(InputError, match=r"links to 01_a/03_three\.ipynb, which is not in"):
        pages.fill_times(text, course, {})


def test_a_page_without_a_place_for_the_map_is_refused(course: Path) -> None:
    (course / pages.STUDENTS).write_text(f"# The course\n\n{pages.MAP_BEGINS}\n")
    with pytest.raises(InputError, match=r"README\.md has no place for the map: "):
        pages.write_pages(course, {})


def test_pages_are_stale_until_they_are_written(course: Path, command: Callable) -> None:
    costs = read_ledger(course)
    assert pages.stale_pages(course, costs) == [pages.STUDENTS, pages.TEACHERS]
    write_solved(course.parent / "solutions", "01_a")
    code, output, _ = command("exercises")
    assert code == 0, output
    assert pages.stale_pages(course, costs) == []


def test_the_course_has_both_pages_and_they_are_fresh() -> None:
    assert (COURSE / pages.STUDENTS).is_file()
    assert (COURSE / pages.TEACHERS).is_file()
    assert pages.stale_pages(COURSE, read_ledger(COURSE)) == [], "run `transferlab exercises`"


def test_every_sitting_of_the_schedules_fits_into_90_minutes() -> None:
    """A lesson takes its minutes, and ten more for introduction, demonstration and questions."""
    fresh = pages.fresh_pages(COURSE, read_ledger(COURSE))[COURSE / pages.TEACHERS]
    sittings = re.findall(r"^\| ((?:day|week) \d, \w+) \|(.+)\| (\d+) \|", fresh, re.MULTILINE)
    assert len(sittings) > 20
    too_long = [
        when
        for when, lessons, minutes in sittings
        if int(minutes) + 10 * lessons.count(".ipynb") > 90
    ]
    assert too_long == []
