"""Finding lessons, cleaning notebooks, and the headers made from the ledger."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from nbformat import v4
from toy_course import write_lesson

from transferlab.errors import InputError
from transferlab.kit import ledger
from transferlab.kit.lessons import find_lessons, read_lesson, reading_minutes
from transferlab.kit.notebooks import clean_notebook, notebook_text, read_json, read_notebook
from transferlab.kit.progress import time_left
from transferlab.kit.results import LIMITS, Result

COURSE = Path(__file__).parents[2] / "course"


@pytest.fixture
def course(tmp_path: Path) -> Path:
    folder = tmp_path / "course"
    for name in ("01_a/02_two", "01_a/01_one", "04_code/01_three"):
        write_lesson(folder, name, title=f"Lesson {name}")
    (folder / "01_a" / "exercises.ipynb").write_text("{}")
    return folder


@pytest.mark.parametrize(
    ("patterns", "names"),
    [
        ([], ["01_a/01_one", "01_a/02_two", "04_code/01_three"]),
        (["04_code/*"], ["04_code/01_three"]),
        (["01_a"], ["01_a/01_one", "01_a/02_two"]),
        (["04_code/01_three", "01_a/01_one"], ["01_a/01_one", "04_code/01_three"]),
        (["*/02_*"], ["01_a/02_two"]),
    ],
)
def test_lessons_are_found_in_the_order_of_the_course(course: Path, patterns, names) -> None:
    assert [lesson.name for lesson in find_lessons(course, patterns)] == names


def test_a_path_as_the_shell_completes_it_is_found_too(
    course: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(course.parent)
    (lesson,) = find_lessons(Path("course"), ["course/01_a/01_one.ipynb"])
    assert lesson.name == "01_a/01_one"


def test_a_lesson_says_what_it_is(course: Path) -> None:
    lesson = read_lesson(course / "01_a" / "01_one.ipynb")
    assert (lesson.title, lesson.minutes, lesson.code_cells) == ("Lesson 01_a/01_one", 5, 1)
    assert lesson.parameters == ("profile", "device", "seed")


def test_reading_takes_a_minute_for_200_words_or_15_lines() -> None:
    def minutes(words: int, lines: int) -> int:
        code = "\n".join(["# a comment", "", *["x = 1"] * lines])
        text = " ".join(["word"] * (words - 1)) + " $a + b$\n## References\n" + "more " * 900
        return reading_minutes([v4.new_markdown_cell(text), v4.new_code_cell(code)])

    assert minutes(1000, 0) == 5
    assert minutes(1001, 0) == 10
    assert minutes(1000, 75) == 10
    assert minutes(1000, 76) == 15


@pytest.mark.parametrize("text", ["", "{", "[]", '{"cells": 3}'])
def test_a_damaged_notebook_is_named(course: Path, text: str) -> None:
    (course / "01_a" / "01_one.ipynb").write_text(text)
    with pytest.raises(InputError, match=r"01_one\.ipynb is not a notebook"):
        find_lessons(course)


def test_an_empty_course_gets_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no lessons; expected"):
        find_lessons(tmp_path)


def noisy_notebook():
    plot = v4.new_output(
        "execute_result", {"text/plain": "7"}, metadata={"keep": "me"}, execution_count=3
    )
    streams = [v4.new_output("stream", text=text) for text in ("one\n", "two\n")]
    bar = v4.new_output("stream", name="stderr", text="100%|####|")
    widget = v4.new_output("display_data", {"application/vnd.jupyter.widget-view+json": {}})
    cell = v4.new_code_cell("7", execution_count=3, outputs=[*streams, bar, widget, plot])
    cell.metadata = {"papermill": {"duration": 1.0}, "tags": ["kept"], "collapsed": True}
    injected = v4.new_code_cell("seed = 1", metadata={"tags": ["injected-parameters"]})
    metadata = {"papermill": {"duration": 2.0}, "widgets": {}, "transferlab": {"question": "Why?"}}
    return v4.new_notebook(cells=[injected, cell], metadata=metadata)


def test_cleaning_takes_out_the_noise_and_keeps_the_results() -> None:
    clean = clean_notebook(noisy_notebook())
    (cell,) = clean.cells
    assert cell.metadata == {"tags": ["kept"]}
    assert cell.execution_count == 1  # the injected cell is gone
    stream, plot = cell.outputs
    assert stream.text == "one\ntwo\n"
    assert (plot.data, plot.metadata) == ({"text/plain": "7"}, {"keep": "me"})
    assert plot.execution_count == 1
    assert set(clean.metadata) == {"kernelspec", "language_info", "transferlab"}


def test_a_cell_that_was_never_run_gets_no_number() -> None:
    clean = clean_notebook(v4.new_notebook(cells=[v4.new_code_cell("7")]))
    assert clean.cells[0].execution_count is None


def test_cleaning_twice_changes_nothing() -> None:
    once = clean_notebook(noisy_notebook())
    assert notebook_text(clean_notebook(once)) == notebook_text(once)


def test_the_header_line() -> None:
    cost = {"seconds": 41.2, "peak_mib": 950}
    assert ledger.header_line(12, cost) == (
        "Reading and running: about 12 minutes · the run itself: 41 s, 0.9 GiB in `class` (2 cores)"
    )
    assert ledger.header_line(12, None) == "Reading and running: about 12 minutes"


def test_a_header_is_stale_until_it_is_written(course: Path) -> None:
    (course / "ledger.json").write_text('{"01_a/01_one": {"seconds": 41.2, "peak_mib": 950}}')
    path = course / "01_a" / "01_one.ipynb"
    assert "01_a/01_one" in ledger.stale_headers(course)
    for _ in range(2):  # the second time replaces the line instead of adding one
        notebook = read_notebook(path)
        ledger.write_header(notebook, ledger.read_ledger(course)["01_a/01_one"])
        path.write_text(notebook_text(notebook))
    assert "01_a/01_one" not in ledger.stale_headers(course)
    header = read_notebook(path).cells[0].source
    assert header.count("Reading and running:") == 1
    assert header.startswith("# Lesson 01_a/01_one\n\nYou will see a toy.\n\nReading")


def test_a_damaged_ledger_is_named(course: Path) -> None:
    (course / "ledger.json").write_text('{"01_a/01_one": 3}')
    with pytest.raises(InputError, match=r"ledger\.json is damaged"):
        ledger.read_ledger(course)


def test_the_ledger_is_measured_and_written_into_the_course(
    command: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = write_lesson(tmp_path / "course", "01_a/01_one", "print('seen', seed)")
    (tmp_path / "course" / "ledger.json").write_text('{"09_gone": {"seconds": 1, "peak_mib": 1}}')
    code, output, _ = command("ledger")
    assert code == 0, output
    kept = json.loads((tmp_path / "course" / "ledger.json").read_text())
    assert list(kept) == ["01_a/01_one"]
    assert 0.3 < kept["01_a/01_one"]["seconds"] < 60
    notebook = read_notebook(path)
    assert [cell.metadata.get("tags") for cell in notebook.cells] == [
        ["header"],
        ["parameters"],
        None,
    ]
    assert notebook.cells[-1].outputs[0].text == "seen 0\n"
    assert ledger.stale_headers(tmp_path / "course") == []
    assert path.read_text() == notebook_text(clean_notebook(notebook))


def test_a_failing_lesson_leaves_the_ledger_alone(
    command: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = write_lesson(tmp_path / "course", "01_a/01_one", "1 / 0")
    before = path.read_text()
    code, _, error = command("ledger")
    assert code == 2
    assert "the ledger stays as it was, because 01_a/01_one failed" in error
    assert path.read_text() == before
    assert not (tmp_path / "course" / "ledger.json").exists()


def test_the_time_left_follows_the_pace_of_the_run(course: Path) -> None:
    one, two, three = results = [Result(x, LIMITS["class"]) for x in find_lessons(course)]
    usual = {"01_a/01_one": 10.0, "01_a/02_two": 20.0}
    assert time_left(results, 1, {}, 1.0) is None
    assert time_left(results, 1, usual, None) is None
    assert (
        time_left(results, 1, usual, 1.0)[""] == 10 + 20 + 15
    )  # an unknown one counts as the mean
    one.finish(seconds=20, peak_mib=1, error="")  # half as fast as usual
    two.status, two.seconds = "running", 5.0
    left = time_left(results, 2, usual, 1.0)
    assert left == {two.lesson.name: 35.0, three.lesson.name: 30.0, "": 35.0}


NOTEBOOKS = sorted([*COURSE.glob("*/*.ipynb"), *COURSE.parent.glob("solutions/*/*.ipynb")])


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_the_course_is_clean(path: Path) -> None:
    read_json(path)
    expected = notebook_text(clean_notebook(read_notebook(path)))
    assert path.read_text(encoding="utf-8") == expected, (
        "run `transferlab ledger` or `transferlab exercises`"
    )


def test_the_course_has_no_stale_headers() -> None:
    if not NOTEBOOKS:
        pytest.skip("the course has no notebooks yet")
    assert ledger.stale_headers(COURSE) == [], "run `transferlab ledger` on these lessons"
