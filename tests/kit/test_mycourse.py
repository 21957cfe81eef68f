"""The student's copy of the course: made once, brought up to date, never lost."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbformat import v4
from toy_course import write_lesson
from typer.testing import CliRunner

from transferlab.errors import InputError
from transferlab.kit.classroom import lab, mycourse
from transferlab.kit.classroom.merge import MARK, merge
from transferlab.kit.cli import commands
from transferlab.kit.lessons import read_lesson

ONE, TWO, EXERCISES = "01_a/01_one.ipynb", "01_a/02_two.ipynb", "01_a/exercises.ipynb"
FIRST = "labels = 10\nsteps = 60\nrate = 0.001\nseeds = 5"
SECOND = "plot(labels)\nshow()"
STUB = "def double(number):\n    # YOUR CODE HERE\n    raise NotImplementedError()"


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "course"
    write_lesson(folder, "01_a/01_one", FIRST, SECOND, title="One")
    write_lesson(folder, "01_a/02_two", "x = 2", title="Two")
    write_exercises(folder, STUB)
    change(folder / ONE, {SECOND: SECOND}, outputs="kept in the course")
    for name in ("README.md", "GLOSSARY.md", "TEACHING.md", "ledger.json", "01_a/draft.ipynb"):
        (folder / name).write_text("{}")
    return folder


def write_exercises(course: Path, stub: str) -> None:
    flags = {"grade": False, "solution": True, "locked": False, "task": False}
    answer = v4.new_code_cell(stub)
    answer.metadata["nbgrader"] = {"grade_id": "double", "schema_version": 3, **flags}
    text = "# Exercises\n\nSee [one](../../course/01_a/01_one.ipynb)."
    notebook = v4.new_notebook(cells=[v4.new_markdown_cell(text), answer])
    nbformat.write(notebook, course / EXERCISES)


def change(path: Path, texts: dict[str, str], outputs: str = "") -> None:
    """Replace the texts of cells in a notebook, and give their code cells an output."""
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.source in texts:
            cell.source = texts[cell.source]
            if outputs:
                cell.outputs, cell.execution_count = [v4.new_output("stream", text=outputs)], 1
    nbformat.write(notebook, path)


def insert(path: Path, place: int, text: str) -> None:
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.insert(place, v4.new_code_cell(text))
    nbformat.write(notebook, path)


def texts_of(path: Path) -> list[str]:
    return [cell.source for cell in nbformat.read(path, as_version=4).cells]


def files_of(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def update(course: Path, restore: str = "") -> str:
    copy, happened, troubles = mycourse.update_copy(course, restore)
    return "\n".join([mycourse.summary(copy, happened), *troubles])


@pytest.fixture
def copy(course: Path) -> Path:
    update(course)
    return course.parent / "my_course"


# ---- the first copy ------------------------------------------------------------------------------


def test_the_copy_has_what_a_student_needs_and_nothing_for_teachers(course: Path) -> None:
    assert update(course) == "my_course: 5 files are new."
    names = {name for name in files_of(course.parent / "my_course") if not name.startswith(".base")}
    assert names == {"README.md", "GLOSSARY.md", ONE, TWO, EXERCISES}


def test_outputs_go_texts_and_names_stay(course: Path, copy: Path) -> None:
    given, mine = (nbformat.read(folder / ONE, as_version=4) for folder in (course, copy))
    assert "kept in the course" in (course / ONE).read_text()
    assert "kept in the course" not in (copy / ONE).read_text()
    assert all(not c.outputs and c.execution_count is None for c in mine.cells if "outputs" in c)
    assert [c.source for c in mine.cells] == [c.source for c in given.cells]
    assert [c.metadata for c in mine.cells] == [c.metadata for c in given.cells]
    assert read_lesson(copy / ONE).parameters == ("profile", "device", "seed")


def test_links_lead_to_the_copy(copy: Path) -> None:
    assert "[one](../01_a/01_one.ipynb)" in texts_of(copy / EXERCISES)[0]


def test_pictures_and_tables_that_a_lesson_names_come_along(course: Path) -> None:
    change(course / ONE, {"# One\n\nYou will see a toy.": "# One\n\n![map](figures/map.png)"})
    (course / "01_a/figures").mkdir()
    (course / "01_a/figures/map.png").write_bytes(b"\x89PNG\r\n\x00")
    (course / "01_a/key.pem").write_text("secret")
    update(course)
    copied = files_of(course.parent / "my_course")
    assert copied["01_a/figures/map.png"] == b"\x89PNG\r\n\x00"
    assert "01_a/key.pem" not in copied


def test_a_lesson_that_was_only_opened_and_saved_is_unchanged(copy: Path) -> None:
    """JupyterLab writes the kernel's language into the metadata and sorts the keys."""
    from ipykernel.ipkernel import IPythonKernel

    notebook = nbformat.read(copy / ONE, as_version=4)
    language = IPythonKernel().language_info
    assert notebook.metadata.language_info == language
    assert notebook.metadata.kernelspec == {
        "display_name": "Python 3 (ipykernel)",
        "language": "python",
        "name": "python3",
    }
    before = (copy / ONE).read_bytes()
    nbformat.validate(notebook)
    nbformat.write(notebook, copy / ONE)
    assert (copy / ONE).read_bytes() == before


# ---- later calls ---------------------------------------------------------------------------------


def test_a_second_call_changes_no_byte(course: Path, copy: Path) -> None:
    before = files_of(copy)
    assert update(course) == "my_course: as the course is."
    assert files_of(copy) == before


def test_work_stays_when_the_course_is_as_before(course: Path, copy: Path) -> None:
    change(copy / ONE, {FIRST: "mine = 1"}, outputs="my output")
    before = files_of(copy)
    change(course / ONE, {SECOND: SECOND}, outputs="a new run of the teacher")
    assert update(course) == "my_course: as the course is."
    assert files_of(copy) == before


def test_an_untouched_lesson_is_replaced(course: Path, copy: Path) -> None:
    change(course / ONE, {FIRST: "labels = 20"})
    assert update(course) == f"my_course: 1 file was replaced by a newer one ({ONE})."
    assert texts_of(copy / ONE) == texts_of(course / ONE)
    assert update(course) == "my_course: as the course is."


def test_both_changes_meet_in_one_lesson(course: Path, copy: Path) -> None:
    change(copy / ONE, {FIRST: FIRST.replace("10", "99")}, outputs="mine")
    insert(copy / ONE, 3, "my_own = 'note'")
    change(copy / ONE, {SECOND: SECOND}, outputs="my figure")
    change(course / ONE, {FIRST: FIRST.replace("seeds = 5", "seeds = 7")})
    insert(course / ONE, 0, "a_new_cell = True")
    assert update(course) == f"my_course: 1 file was merged into yours ({ONE})."
    blended = FIRST.replace("10", "99").replace("seeds = 5", "seeds = 7")
    assert [text for text in texts_of(copy / ONE) if "#" not in text and "profile" not in text] == [
        "a_new_cell = True",
        blended,
        "my_own = 'note'",
        SECOND,
    ]
    cells = {cell.source: cell for cell in nbformat.read(copy / ONE, as_version=4).cells}
    assert cells[SECOND].outputs[0].text == "my figure"
    assert cells[blended].outputs == []  # they were those of another text
    before = files_of(copy)
    assert update(course) == "my_course: as the course is."
    assert files_of(copy) == before


def test_where_both_changed_the_same_line_both_cells_are_there(course: Path, copy: Path) -> None:
    mine, theirs = FIRST.replace("10", "99"), FIRST.replace("10", "20")
    change(copy / ONE, {FIRST: mine})
    change(course / ONE, {FIRST: theirs})
    said = update(course)
    assert f"1 file was merged into yours: compare the cells that begin with '{MARK}'" in said
    texts = texts_of(copy / ONE)
    place = texts.index(mine)
    assert texts[place + 1] == f"# {MARK}\n{theirs}"
    assert texts[place + 2] == SECOND


def test_a_solved_exercise_is_kept(course: Path, copy: Path) -> None:
    solved = "def double(number):\n    return 2 * number"
    change(copy / EXERCISES, {STUB: solved}, outputs="right!")
    write_exercises(course, STUB.replace("# YOUR CODE HERE", "# YOUR CODE HERE, one line"))
    update(course)
    cells = nbformat.read(copy / EXERCISES, as_version=4).cells
    assert [cell.source for cell in cells[1:2]] == [solved]
    assert cells[1].outputs[0].text == "right!"
    ids = [cell.metadata.nbgrader.grade_id for cell in cells if "nbgrader" in cell.metadata]
    assert ids == ["double"]  # marked by name: the course's cell below has none


def test_new_lessons_come_and_dropped_ones_stay(course: Path, copy: Path) -> None:
    (course / TWO).unlink()
    write_lesson(course, "02_b/01_three", "x = 3")
    assert update(course) == "my_course: 1 file is new (02_b/01_three.ipynb)."
    assert (copy / TWO).is_file()
    assert (copy / "02_b/01_three.ipynb").is_file()


def test_a_deleted_lesson_comes_back_by_its_name_only(course: Path, copy: Path) -> None:
    (copy / ONE).unlink()
    change(course / ONE, {FIRST: "labels = 20"})
    for _ in range(2):
        assert update(course) == f"my_course: 1 file was deleted by you and stays so ({ONE})."
    assert not (copy / ONE).exists()
    assert update(course, restore=ONE) == f"my_course: 1 file is new ({ONE})."
    assert texts_of(copy / ONE) == texts_of(course / ONE)


def test_a_page_of_the_students_own_is_kept(course: Path, copy: Path) -> None:
    (copy / "GLOSSARY.md").write_text("my notes")
    for name in ("README.md", "GLOSSARY.md"):
        (course / name).write_text("newer")
    said = update(course)
    assert "1 file was replaced by a newer one (README.md)" in said
    assert "1 file is newer in the course; yours was kept (GLOSSARY.md)" in said
    assert (copy / "GLOSSARY.md").read_text() == "my notes"
    assert update(course) == "my_course: as the course is."


# ---- cut short -----------------------------------------------------------------------------------


@pytest.mark.parametrize("writes", range(6))
def test_a_call_that_is_cut_short_is_finished_by_the_next(
    course: Path, copy: Path, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    """Killed after so many files were written; the result is that of a call that was not."""
    change(copy / ONE, {FIRST: FIRST.replace("10", "99")})
    change(course / ONE, {FIRST: FIRST.replace("10", "20"), SECOND: "plot(labels, steps)\nshow()"})
    change(course / TWO, {"x = 2": "x = 4"})
    write_lesson(course, "02_b/01_three", "x = 3")
    write, written = mycourse._write, []

    def killed(path: Path, content: bytes) -> None:
        if len(written) == writes:
            raise KeyboardInterrupt
        written.append(path)
        write(path, content)

    monkeypatch.setattr(mycourse, "_write", killed)
    with pytest.raises(KeyboardInterrupt):
        mycourse.update_copy(course)
    monkeypatch.undo()
    update(course)
    texts = texts_of(copy / ONE)
    assert texts[2:4] == [FIRST.replace("10", "99"), f"# {MARK}\n{FIRST.replace('10', '20')}"]
    assert texts[4:] == ["plot(labels, steps)\nshow()"]
    assert texts_of(copy / TWO) == texts_of(course / TWO)
    assert (copy / "02_b/01_three.ipynb").is_file()
    assert update(course) == "my_course: as the course is."
    assert not list(copy.rglob("*.part"))


def test_without_its_base_a_changed_lesson_loses_nothing(course: Path, copy: Path) -> None:
    (copy / ".base" / ONE).write_text("{")  # damaged
    insert(copy / ONE, 3, "mine = 1")
    change(course / ONE, {SECOND: "plot(steps)\nshow()"})
    update(course)
    texts = texts_of(copy / ONE)
    assert {"mine = 1", FIRST, SECOND, f"# {MARK}\nplot(steps)\nshow()"} <= set(texts)


# ---- hostile -------------------------------------------------------------------------------------


def test_a_file_in_the_place_of_the_copy_is_refused(course: Path) -> None:
    (course.parent / "my_course").write_text("my thesis")
    with pytest.raises(InputError, match="my_course is a file; expected a folder"):
        update(course)
    assert (course.parent / "my_course").read_text() == "my thesis"


def test_a_place_that_cannot_be_written_is_said(course: Path) -> None:
    (course.parent / "my_course").mkdir()
    (course.parent / "my_course/01_a").write_text("a file where the chapter should be")
    with pytest.raises(InputError, match=r"my_course/01_a/01_one.ipynb cannot be written: \w+"):
        update(course)


def test_a_damaged_lesson_is_left_alone_and_the_others_go_on(course: Path, copy: Path) -> None:
    (copy / ONE).write_text('{"cells": [half')
    for name in (ONE, TWO):
        insert(course / name, 2, "new_in_the_course = 1")
    summary, trouble = update(course).splitlines()
    assert summary == f"my_course: 1 file was replaced by a newer one ({TWO})."
    assert trouble.endswith(f"my_course/{ONE} is not a notebook: it holds no valid JSON.")
    assert (copy / ONE).read_text() == '{"cells": [half'


def test_a_damaged_lesson_of_the_course_is_said(course: Path, copy: Path) -> None:
    before = (copy / ONE).read_bytes()
    (course / ONE).write_text("{")
    assert f"course/{ONE} is not a notebook" in update(course)
    assert (copy / ONE).read_bytes() == before


def test_links_are_not_written_through(course: Path, copy: Path, tmp_path: Path) -> None:
    originals = files_of(course)
    (copy / ONE).unlink()
    (copy / ONE).symlink_to(course / ONE)
    (copy / TWO).unlink()
    (copy / TWO).symlink_to(tmp_path / "nowhere.ipynb")
    said = update(course, restore=TWO).splitlines()
    assert [line.split("/")[-1] for line in said[1:]] == [
        "01_one.ipynb is reached by a symbolic link; it was left alone.",
        "02_two.ipynb is reached by a symbolic link; it was left alone.",
    ]
    assert files_of(course) == originals
    assert not (tmp_path / "nowhere.ipynb").exists()


def test_a_copy_that_is_the_course_is_refused(course: Path) -> None:
    (course.parent / "my_course").symlink_to(course)
    with pytest.raises(InputError, match="expected a folder of its own"):
        update(course)


def test_a_copy_on_another_disk_is_as_good(course: Path, tmp_path: Path) -> None:
    (tmp_path / "usb").mkdir()
    (course.parent / "my_course").symlink_to(tmp_path / "usb")
    assert update(course) == "my_course: 5 files are new."
    assert (tmp_path / "usb" / ONE).is_file()


# ---- the merge itself ----------------------------------------------------------------------------


def notebook(*texts: str) -> nbformat.NotebookNode:
    return v4.new_notebook(cells=[v4.new_code_cell(text) for text in texts])


A, B, C = "a = 1\nprint(a)\nshow(a)", "numbers = list(range(9))\nplot(numbers)", "z = 26\nz + 1"

AT_ODDS = ("a = 3\nprint(a)\nshow(a)", f"# {MARK}\na = 1  # any\nprint(a)\nshow(a, 2)", B)


@pytest.mark.parametrize(
    ("mine", "new", "expected"),
    [
        ((A, B, C), (A, C), (A, C)),
        ((A, C), (A, B, C), (A, C)),  # what the student deleted stays away
        ((A, C), (A, f"{B}\nmore()", C), (A, f"# {MARK}\n{B}\nmore()", C)),  # unless it is new
        ((A, f"{B}\nmine()", C), (A, C), (A, f"{B}\nmine()", C)),
        (
            (A, "mine()", B, C),
            (A, "theirs = 1", B, C),
            (A, "mine()", f"# {MARK}\ntheirs = 1", B, C),
        ),
        ((B, A, C), (A, B, f"{C}\nlast()"), (B, A, f"{C}\nlast()")),
        # lines at odds: the student's cell is kept as it is, not mixed with the course's lines
        (("a = 3\nprint(a)\nshow(a)", B), ("a = 1  # any\nprint(a)\nshow(a, 2)", B), AT_ODDS),
    ],
)
def test_what_a_merge_gives(mine: tuple, new: tuple, expected: tuple) -> None:
    merged = merge(notebook(A, B, C), notebook(*mine), notebook(*new))
    assert tuple(cell.source for cell in merged.cells) == expected
    nbformat.validate(merged)


def test_a_text_cell_is_marked_as_a_text() -> None:
    base, mine, new = (v4.new_notebook(cells=[v4.new_markdown_cell(x)]) for x in ("a", "b", "c"))
    merged = merge(base, mine, new)
    assert [cell.source for cell in merged.cells] == ["b", f"*{MARK}*\n\nc"]


def edited(texts: list[str], tag: str, draw: random.Random) -> list[str]:
    """Return the texts after a few edits; every line that is new carries the tag."""
    texts = list(texts)
    for number in range(draw.randint(1, 4)):
        place = draw.randrange(len(texts))
        line = f"{tag}_{number} = {draw.randint(0, 99)}"
        lines = texts[place].split("\n")
        lines[draw.randrange(len(lines))] = line
        match draw.choice(["line", "cell", "delete", "move"]):
            case "line":
                texts[place] = "\n".join(lines)
            case "cell":
                texts.insert(place, line)
            case "delete" if len(texts) > 1:
                texts.pop(place)
            case "move":
                texts.insert(draw.randrange(len(texts)), texts.pop(place))
    texts.insert(draw.randrange(len(texts)), f"{tag}_last = 0")
    return texts


@pytest.mark.parametrize("seed", range(15))
def test_no_line_of_either_side_is_ever_lost(seed: int) -> None:
    draw = random.Random(seed)
    texts = ["\n".join(f"x{i}{j} = {draw.randint(0, 99)}" for j in range(3)) for i in range(5)]
    mine, new = edited(texts, "mine", draw), edited(texts, "course", draw)
    merged = merge(notebook(*texts), notebook(*mine), notebook(*new))
    found = {line for cell in merged.cells for line in cell.source.split("\n")}
    added = {line for text in (*mine, *new) for line in text.split("\n") if "_" in line}
    assert added >= {"mine_last = 0", "course_last = 0"}
    assert added <= found
    nbformat.validate(merged)


# ---- opening it ----------------------------------------------------------------------------------


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[list[str], dict[str, str]]]:
    """Return a function that calls `open_lab`, and gives JupyterLab's command and environment."""

    def call(*arguments: object, **named: object) -> tuple[list[str], dict[str, str]]:
        seen: list = []
        monkeypatch.setattr(lab, "_become", lambda *started: seen.extend(started))
        lab.open_lab(*arguments, **named)
        return seen[0], seen[1]

    return call


def test_the_first_lesson_of_the_copy_is_opened(course: Path, opened: Callable) -> None:
    words, environment = opened(course, flags=["--no-browser"])
    assert f"--ServerApp.root_dir={course.parent / 'my_course'}" in words
    assert f"--LabApp.default_url=/lab/tree/{ONE}" in words
    assert words[-1] == "--no-browser"
    settings = Path(environment["JUPYTER_CONFIG_PATH"].split(os.pathsep)[0])
    page = json.loads((settings / "labconfig/page_config.json").read_text())
    assert page["disabledExtensions"]["@jupyter/nbgrader"] is True


@pytest.mark.parametrize("name", ["01_a/02_two", "course/01_a/02_two.ipynb", "my_course/01_a/02_*"])
def test_a_lesson_is_opened_by_its_name(course: Path, opened: Callable, name: str) -> None:
    opened(course)
    (course.parent / "my_course" / TWO).unlink()
    assert f"--LabApp.default_url=/lab/tree/{TWO}" in opened(course, name)[0]
    assert (course.parent / "my_course" / TWO).is_file()


def test_the_exercises_are_opened_by_their_name(course: Path, opened: Callable) -> None:
    assert f"--LabApp.default_url=/lab/tree/{EXERCISES}" in opened(course, "01_a/exercises")[0]


def test_when_the_first_lesson_was_deleted_the_second_is_opened(
    course: Path, copy: Path, opened: Callable
) -> None:
    (copy / ONE).unlink()
    assert f"--LabApp.default_url=/lab/tree/{TWO}" in opened(course)[0]
    assert not (copy / ONE).exists()


def test_a_teacher_opens_the_originals_with_everything(
    course: Path, opened: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JUPYTER_CONFIG_PATH", raising=False)
    words, environment = opened(course, "01_a/02_two", originals=True)
    assert f"--ServerApp.root_dir={course.parent}" in words
    assert f"--LabApp.default_url=/lab/tree/course/{TWO}" in words
    assert "JUPYTER_CONFIG_PATH" not in environment
    assert not (course.parent / "my_course").exists()


def test_a_student_needs_none_of_the_teachers_packages(course: Path, copy: Path) -> None:
    """A bundle is set up with the extra `notebook` alone."""
    change(copy / ONE, {FIRST: "labels = 99"})
    change(course / ONE, {SECOND: "plot(steps)"})
    code = (
        "import os, sys; sys.modules.update(dict.fromkeys("
        "('typer', 'papermill', 'nbconvert', 'nbgrader', 'rich', 'jupytext', 'psutil')))\n"
        "os.execve = lambda program, words, environment: print(*words)\n"
        "import runpy; sys.argv = ['lab', '01_a/01_one', '--no-browser']\n"
        "runpy.run_module('transferlab.kit.classroom.lab', run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr
    said, command = done.stdout.splitlines()
    assert said == f"my_course: 1 file was merged into yours ({ONE})."
    assert command.endswith(f"--LabApp.default_url=/lab/tree/{ONE} --no-browser")


def test_a_name_that_no_lesson_has_is_said_in_a_sentence(course: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "transferlab.kit.classroom.lab", "01_a/09_none"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 2
    assert done.stderr == "no lesson matches '01_a/09_none'; there are 01_a/01_one, 01_a/02_two.\n"


def test_options_that_are_not_ours_go_to_jupyterlab(monkeypatch):
    seen = []
    monkeypatch.setattr("transferlab.kit.classroom.lab.open_lab", lambda *given: seen.append(given))
    for line in (["--no-browser", "--port=8899"], ["01_a/01_one", "--originals", "--allow-root"]):
        assert CliRunner().invoke(commands, ["lab", *line]).exit_code == 0
    assert seen == [
        (Path("course"), "", False, ["--no-browser", "--port=8899"]),
        (Path("course"), "01_a/01_one", True, ["--allow-root"]),
    ]
