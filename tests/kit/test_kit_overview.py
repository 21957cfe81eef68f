"""The overview of a chapter: its map shows the lessons as they are."""

import json
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbformat import v4
from toy_course import write_lesson, write_solved

from transferlab.kit import overview
from transferlab.kit.classroom.release import write_bundle
from transferlab.kit.ledger import read_ledger
from transferlab.kit.lessons import OVERVIEW, find_lessons
from transferlab.kit.notebooks import has_tag, read_json, source_of
from transferlab.kit.pages import stale_pages

COURSE = Path(__file__).parents[2] / "course"
CHAPTERS = sorted(path.parent for path in COURSE.glob(f"*/{OVERVIEW}"))


def write_overview(chapter: Path) -> Path:
    map_cell = v4.new_markdown_cell("an old map", metadata={"tags": [overview.MAP]})
    path = chapter / OVERVIEW
    nbformat.write(v4.new_notebook(cells=[v4.new_markdown_cell("# Chapter"), map_cell]), path)
    return path


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "course"
    write_lesson(folder, "01_a/01_one", title="One", minutes=10)
    write_lesson(folder, "01_a/02_two", title="Two", minutes=30)
    notebook = nbformat.read(folder / "01_a/01_one.ipynb", as_version=4)
    notebook.metadata["transferlab"]["question"] = "Why one?"
    nbformat.write(notebook, folder / "01_a/01_one.ipynb")
    (folder / "ledger.json").write_text('{"01_a/01_one": {"seconds": 41.2, "peak_mib": 950}}')
    write_overview(folder / "01_a")
    return folder


def test_the_map_names_lessons_questions_minutes_and_seconds(course: Path) -> None:
    assert overview.lesson_map(course / "01_a", read_ledger(course)).splitlines() == [
        overview.HEADER,
        overview.RULE,
        "| 1 | [One](01_one.ipynb) | Why one? | 10 | 41 s |",
        "| 2 | [Two](02_two.ipynb) |  | 30 |  |",
        "",
        "In all about 40 minutes.",
    ]


def test_the_exercises_are_on_the_map_with_points_and_minutes(course: Path) -> None:
    header = v4.new_markdown_cell("# Exercises\n\n20 points · about 45 minutes · needs: two")
    header.metadata["tags"] = ["header"]
    nbformat.write(v4.new_notebook(cells=[header]), course / "01_a/exercises.ipynb")
    *_, row, _, total = overview.lesson_map(course / "01_a", {}).splitlines()
    assert row == "| | [Exercises](exercises.ipynb) | 20 points | 45 | |"
    assert total == "In all about 85 minutes."


def test_an_overview_is_no_lesson(course: Path) -> None:
    assert [lesson.name for lesson in find_lessons(course)] == ["01_a/01_one", "01_a/02_two"]


def test_a_map_is_stale_until_it_is_written(course: Path, command: Callable) -> None:
    assert stale_pages(course, read_ledger(course)) == ["01_a/00_overview.ipynb"]
    write_solved(course.parent / "solutions", "01_a")
    code, output, _ = command("exercises")
    assert code == 0, output
    assert stale_pages(course, read_ledger(course)) == []
    texts = [source_of(cell) for cell in read_json(course / "01_a/00_overview.ipynb")["cells"]]
    assert texts[0] == "# Chapter"
    assert "Why one?" in texts[1]


def test_measuring_the_lessons_writes_the_map(course: Path, command: Callable) -> None:
    code, output, _ = command("ledger")
    assert code == 0, output
    costs = json.loads((course / "ledger.json").read_text())
    assert set(costs) == {"01_a/01_one", "01_a/02_two"}
    assert stale_pages(course, costs) == []


def test_the_overview_goes_into_the_bundle(course: Path) -> None:
    root = course.parent
    for name in ("pyproject.toml", "constraints.txt", "LICENSE", "Makefile"):
        (root / name).write_text("")
    (root / "solutions").mkdir(exist_ok=True)
    (root / "transferlab").mkdir()
    names, _ = write_bundle(["01_a"], root / "bundle.zip", course, root / "solutions")
    assert "course/01_a/00_overview.ipynb" in names


# ---- the course's own overviews ------------------------------------------------------------------


def test_every_chapter_opens_with_an_overview() -> None:
    chapters = sorted({lesson.path.parent for lesson in find_lessons(COURSE)})
    assert chapters == CHAPTERS


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.name)
def test_an_overview_is_one_page_of_text(chapter: Path) -> None:
    cells = read_json(chapter / OVERVIEW)["cells"]
    assert {cell["cell_type"] for cell in cells} == {"markdown"}
    assert len([cell for cell in cells if has_tag(cell, overview.MAP)]) == 1
    text = "\n".join(source_of(cell) for cell in cells)
    assert "**You will be able to**" in text
    assert "**You need**" in text
    assert len(text.split()) < 700


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.name)
def test_every_lesson_says_its_question(chapter: Path) -> None:
    lessons = find_lessons(COURSE, [chapter.name])
    assert [lesson.name for lesson in lessons if not lesson.question] == []


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.name)
def test_a_chapter_closes_with_a_recap(chapter: Path) -> None:
    last = find_lessons(COURSE, [chapter.name])[-1]
    texts = [source_of(cell) for cell in read_json(last.path)["cells"]]
    assert "\n## The chapter in short\n" in "\n" + "\n".join(texts)
