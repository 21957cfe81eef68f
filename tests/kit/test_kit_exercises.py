"""Student editions and bundles: nothing that gives an answer away."""

import errno
import os
import re
import shutil
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from toy_course import write_lesson, write_solved

from transferlab.errors import InputError
from transferlab.kit import exercises
from transferlab.kit.classroom import release

ROOT = Path(__file__).parents[2]
SECRETS = (
    "return 2 * number + 40",
    "a hidden message",
    "Because labels are few.",
    "Two points for the axes.",
    "an output that gives it away",
)


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small course with one exercise, as the commands expect it, in the current folder."""
    write_lesson(tmp_path / "course", "01_a/01_one", "x = 1")
    write_lesson(tmp_path / "course", "02_b/01_two", "x = 1")
    write_solved(tmp_path / "solutions", "01_a")
    exercises.write_exercises(tmp_path / "solutions", tmp_path / "course")
    (tmp_path / "course" / "ledger.json").write_text("{}")
    for name in (*release.TOP_FILES, "README.md", "CONTRIBUTING.md"):
        (tmp_path / name).write_text(name)
    for name in ("transferlab/train.py", "transferlab/__pycache__/train.pyc", "tests/test_a.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("pass")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_student_edition_holds_the_questions_and_no_answers(house: Path) -> None:
    text = (house / "course/01_a/exercises.ipynb").read_text()
    assert not [secret for secret in SECRETS if secret in text]
    notebook = nbformat.reads(text, as_version=4)
    nbformat.validate(notebook)
    code, checks, essay, task = notebook.cells[1:]
    assert (
        code.source == "def double(number):\n    # YOUR CODE HERE\n    raise NotImplementedError()"
    )
    assert checks.source == "assert callable(double)"
    assert essay.source == "YOUR ANSWER HERE"
    assert task.source.strip() == "Draw it."
    assert checks.metadata.nbgrader.points == 2
    assert (checks.metadata.editable, checks.metadata.deletable) == (False, False)
    assert checks.metadata.nbgrader.checksum


def test_the_student_edition_is_the_same_every_time(house: Path) -> None:
    solved = house / "solutions/01_a/exercises.ipynb"
    texts = {exercises.student_edition(solved) for _ in range(2)}
    assert texts == {(house / "course/01_a/exercises.ipynb").read_text()}


def test_making_exercises_leaves_the_lessons_alone(house: Path, command: Callable) -> None:
    lesson = house / "course/01_a/01_one.ipynb"
    before = lesson.read_text()
    code, output, _ = command("exercises", "01_a")
    assert (code, output) == (0, "course/01_a/exercises.ipynb\n")
    assert lesson.read_text() == before
    assert sorted(p.name for p in lesson.parent.iterdir()) == ["01_one.ipynb", "exercises.ipynb"]


def test_making_exercises_cleans_the_source_and_keeps_its_answers(house: Path) -> None:
    solved = house / "solutions/01_a/exercises.ipynb"
    once = solved.read_text()
    assert not [secret for secret in SECRETS if secret not in once]
    exercises.write_exercises(house / "solutions", house / "course")
    assert solved.read_text() == once


def test_an_unmarked_solution_is_refused_with_the_file(house: Path) -> None:
    solved = house / "solutions/01_a/exercises.ipynb"
    notebook = nbformat.read(solved, as_version=4)
    del notebook.cells[1].metadata["nbgrader"]
    nbformat.write(notebook, solved)
    with pytest.raises(
        InputError, match=r"exercises.ipynb: nbgrader's ClearSolutions says: Solution"
    ):
        exercises.student_edition(solved)


def test_a_changed_source_makes_its_edition_stale(house: Path) -> None:
    solutions, course = house / "solutions", house / "course"
    assert exercises.stale_exercises(solutions, course) == []
    solved = solutions / "01_a/exercises.ipynb"
    solved.write_text(solved.read_text().replace("Write a function.", "Write two."))
    assert exercises.stale_exercises(solutions, course) == ["01_a"]


def test_a_bundle_holds_what_students_need_and_nothing_else(house: Path, command: Callable) -> None:
    code, output, error = command("release", "01_a", "--to", "bundle.zip")
    assert (code, error) == (0, "")
    with zipfile.ZipFile("bundle.zip") as bundle:
        names = {name.removeprefix("transferlab-course/") for name in bundle.namelist()}
        content = b"".join(bundle.read(name) for name in bundle.namelist()).decode()
    inside = {"course/01_a/01_one.ipynb", "course/01_a/exercises.ipynb", "course/ledger.json"}
    assert names == {*release.TOP_FILES, "README.md", *inside, "transferlab/train.py"}
    assert not [secret for secret in SECRETS if secret in content]
    assert f"{len(names)} files" in output


def test_a_bundle_is_the_same_every_time(house: Path) -> None:
    bundles = []
    for name in ("one.zip", "two.zip"):
        release.write_bundle(["01_a", "02_b"], Path(name), Path("course"), Path("solutions"))
        bundles.append(Path(name).read_bytes())
    assert bundles[0] == bundles[1]


def names_in(bundle: Path) -> set[str]:
    with zipfile.ZipFile(bundle) as opened:
        return {name.removeprefix("transferlab-course/") for name in opened.namelist()}


def test_a_bundle_has_a_readme_of_its_own(house: Path, command: Callable) -> None:
    (house / "README.md").write_text("Type `make course`; see CONTRIBUTING.md.")
    assert command("release", "01_a", "--to", "bundle.zip")[0] == 0
    with zipfile.ZipFile("bundle.zip") as bundle:
        text = bundle.read("transferlab-course/README.md").decode()
    assert text.startswith("# TransferLab: lessons and exercises\n")
    makes = {words for words in re.findall(r"`make (\w+)", text) if words != "help"}
    assert makes == {"lab"}  # the other targets need more than a student installs
    extras = re.findall(r"\[(\w[\w,]*)\]", text)
    assert extras
    assert set(extras) == {"notebook,real,solar"}
    for absent in ("transferlab run", "transferlab doctor", "CONTRIBUTING", "CITATION"):
        assert absent not in text
    files = names_in(Path("bundle.zip"))
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert not [link for link in links if link not in files]


def test_the_readme_of_a_bundle_is_installed_with_the_package() -> None:
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    package = ROOT / "transferlab"
    assert any(
        release.README in package.glob(pattern)
        for pattern in patterns["package-data"]["transferlab"]
    )


@pytest.mark.parametrize("chapters", [["01_a/"], ["01_a", "01_a"], ["01_a//", "01_a"]])
def test_a_chapter_may_end_in_a_slash_and_counts_once(
    house: Path, command: Callable, chapters: list[str]
) -> None:
    command("release", "01_a", "--to", "plain.zip")
    code, output, error = command("release", *chapters, "--to", "bundle.zip")
    assert (code, error) == (0, "")
    assert "course/01_a/exercises.ipynb" in names_in(Path("bundle.zip"))
    assert Path("bundle.zip").read_bytes() == Path("plain.zip").read_bytes()
    assert output == f"bundle.zip: {len(names_in(Path('bundle.zip')))} files\n"


def test_what_editors_and_downloads_leave_behind_stays_out(house: Path) -> None:
    package = house / "transferlab"
    kept = ("weights/letters.json", "weights/letters.safetensors", "kit/partly.py")
    kept += ("data/sets/real.toml", "kit/report.html", "kit/classroom/readme.md")
    kept += ("kit/classroom/labconfig/page_config.json", "plots/pad.js", "plots/sketches/net.svg")
    left = (
        ".DS_Store",
        ".hidden.py",
        "train.py~",
        "weights/letters.safetensors.part",
        "kit/.ipynb_checkpoints/a-checkpoint.py",
        "secrets.env",
        "credentials.json",
        "weights/credentials.json",
        "data/marks.toml",
        "notes.md",
    )
    for name in (*kept, *left):
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text("pass")
    (package / "system.py").symlink_to("/etc/hostname")
    (package / "models").symlink_to(house / "solutions")
    names, left_out = release.write_bundle(
        ["01_a"], Path("b.zip"), Path("course"), Path("solutions")
    )
    assert left_out == sorted(f"transferlab/{name}" for name in (*left, "models", "system.py"))
    found = {name for name in names if name.startswith("transferlab/")}
    assert found == {"transferlab/train.py", *(f"transferlab/{name}" for name in kept)}


def test_pictures_and_tables_that_a_lesson_names_go_in_and_nothing_else(
    house: Path, command: Callable
) -> None:
    path = write_lesson(house / "course", "01_a/01_one", "x = 1")
    text = (
        "![a map](figures/map.png) [table](rows.csv) <img src='two%20words.svg'> [key](key.pem) "
        "[up](../../secrets.csv) ![gone](gone.png) [web](https://example.org/a.png)"
    )
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.append(nbformat.v4.new_markdown_cell(text))
    nbformat.write(notebook, path)
    chapter = house / "course/01_a"
    (chapter / "figures").mkdir()
    named = ("figures/map.png", "rows.csv", "two words.svg")
    for name in (*named, "key.pem", "marks.csv", "../../secrets.csv"):
        (chapter / name).write_text(name)
    code, output, error = command("release", "01_a", "--to", "bundle.zip")
    assert (code, error) == (0, "")
    assert output.splitlines()[1:] == ["left out: course/01_a/key.pem, course/01_a/marks.csv"]
    inside = {name for name in names_in(Path("bundle.zip")) if name.startswith("course/01_a/")}
    lessons = ("01_one.ipynb", "exercises.ipynb")
    assert inside == {f"course/01_a/{name}" for name in (*named, *lessons)}


def test_a_course_in_a_hidden_folder_can_be_released(house: Path) -> None:
    hidden = house / ".here"
    hidden.mkdir()
    for name in ("course", "solutions", "transferlab", *release.TOP_FILES):
        (house / name).rename(hidden / name)
    names, _ = release.write_bundle(
        ["01_a"], Path("b.zip"), Path(".here/course"), Path(".here/solutions")
    )
    assert "transferlab/train.py" in names


def leak(house: Path) -> None:
    """Let the edition be made by something that forgets to take the answers out."""
    student = house / "course/01_a/exercises.ipynb"
    student.write_text(student.read_text().replace("raise NotImplementedError()", SECRETS[0]))


def spoil(house: Path) -> None:
    student = house / "course/01_a/exercises.ipynb"
    student.write_text(student.read_text().replace("Write a function.", "Write it."))


def link(house: Path) -> None:
    """Let a lesson be a link to something outside."""
    (house / "course/02_b/01_two.ipynb").rename(house / "solutions/elsewhere.ipynb")
    (house / "course/02_b/01_two.ipynb").symlink_to(house / "solutions/elsewhere.ipynb")


@pytest.mark.parametrize(
    ("prepare", "chapter", "sentence"),
    [
        (lambda house: None, "07_none", "course has no chapter '07_none'; there are 01_a, 02_b."),
        (spoil, "01_a", "not up to date with its source; run `transferlab exercises` first."),
        (lambda house: (house / "LICENSE").unlink(), "01_a", "LICENSE does not exist"),
        (lambda house: (house / "bundle.zip").mkdir(), "01_a", "bundle.zip is a folder; expected"),
        (
            lambda house: (house / "course").rename(house / "elsewhere"),
            "01_a",
            "there is no folder 'course' here; change to the folder that holds it",
        ),
        (lambda house: shutil.rmtree("solutions"), "01_a", "there is no folder 'solutions' here"),
        (
            lambda house: Path("solutions/01_a").rename("solutions/02_b"),
            "01_a",
            "solutions has no source of course/01_a/exercises.ipynb; without it nobody can check",
        ),
        (link, "02_b", "02_b/01_two.ipynb is reached by a symbolic link; expected the file itself"),
        (lambda house: None, "../course/01_a", "course has no chapter '../course/01_a'"),
        (lambda house: None, "", "course has no chapter ''"),
    ],
)
def test_a_bundle_is_refused_with_one_sentence(
    house: Path, command: Callable, prepare, chapter, sentence
) -> None:
    prepare(house)
    before = sorted(path.name for path in house.iterdir())
    code, output, error = command("release", chapter, "--to", "bundle.zip")
    assert (code, output) == (2, "")
    assert sentence in error
    assert len(error.strip().splitlines()) == 1
    assert sorted(path.name for path in house.iterdir()) == before


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["release", "01_a", "--to", "LICENSE/b.zip"], "LICENSE/b.zip cannot be written: "),
        (["release", "01_a", "--to", f"{'x' * 300}.zip"], "File name too long."),
        (
            ["release", "01_a", "--to", "b.zip", "--solutions", "nowhere"],
            "no folder 'nowhere' here",
        ),
        (["exercises", "--solutions", "nowhere"], "there is no folder 'nowhere' here"),
        (["exercises", "--course", "nowhere"], "name it with --course."),
        (["exercises", "--course", "LICENSE"], "there is no folder 'LICENSE' here"),
        (["ledger", "--build", "LICENSE/build"], "report.html cannot be written: Not a directory."),
        (["ledger", "--course", "nowhere"], "there is no folder 'nowhere' here"),
        (["pretrain", "letters", "--to", "LICENSE/w"], "letters.safetensors cannot be written: "),
        (["pretrain", "letters", "--to", "x" * 300], "File name too long."),
    ],
)
def test_what_cannot_be_written_or_found_is_said_before_the_work(
    house: Path, command: Callable, monkeypatch: pytest.MonkeyPatch, arguments, sentence
) -> None:
    monkeypatch.setattr("transferlab.recipes.make_checkpoint", lambda *a, **b: pytest.fail("begun"))
    before = sorted(path.name for path in house.iterdir())
    code, output, error = command(*arguments)
    assert (code, output) == (2, "")
    assert sentence in error.splitlines()[-1]
    assert sorted(path.name for path in house.iterdir()) == before


def test_a_full_disk_leaves_no_half_bundle(
    house: Path, command: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(number: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = sorted(path.name for path in house.iterdir())
    monkeypatch.setattr(os, "fsync", full)
    code, output, error = command("release", "01_a", "--to", "bundle.zip")
    assert (code, output) == (2, "")
    assert error == "bundle.zip cannot be written: No space left on device.\n"
    assert sorted(path.name for path in house.iterdir()) == before


def test_a_leak_is_found_even_when_the_edition_counts_as_fresh(
    house: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leak(house)
    monkeypatch.setattr(release, "check_fresh", lambda *arguments: None)
    with pytest.raises(InputError, match="gives away a line of the solutions: 'return 2"):
        release.write_bundle(["01_a"], Path("bundle.zip"), Path("course"), Path("solutions"))
    assert not Path("bundle.zip").exists()


def test_secret_lines_leave_out_what_is_shown_elsewhere(tmp_path: Path) -> None:
    solved = write_solved(tmp_path, "01_a", answer="assert callable(double)")
    assert exercises.secret_lines(solved) == {
        "assert double(1) == 42, 'a hidden message'",
        "Because labels are few.",
        "Two points for the axes.",
    }


def test_the_real_student_editions_are_fresh() -> None:
    solutions, course = ROOT / "solutions", ROOT / "course"
    if not exercises.chapters_with_exercises(solutions):
        pytest.skip("there are no exercises yet")
    assert exercises.stale_exercises(solutions, course) == [], "run `transferlab exercises`"
