"""The exercises: the solved edition passes, the student edition fails, wrong answers are named."""

import ast
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbgrader.preprocessors import CheckCellMetadata

from transferlab.kit.classroom.release import write_bundle
from transferlab.kit.exercises import EXERCISES, student_edition
from transferlab.kit.notebooks import has_tag, read_json, source_of

ROOT = Path(__file__).parents[2]
WRONG = Path(__file__).parent / "wrong"
CHAPTERS = sorted(path.parent.name for path in ROOT.glob(f"solutions/*/{EXERCISES}"))
MARK_SCHEME = re.compile(r"=== BEGIN MARK SCHEME ===\n(.+)\n=== END MARK SCHEME ===", re.DOTALL)
POINTS = re.compile(r"\b(\d+) points?\b")

Cell = dict[str, Any]


def cells_of(folder: str, chapter: str) -> list[Cell]:
    return read_json(ROOT / folder / chapter / EXERCISES)["cells"]


def about(cell: Cell) -> dict[str, Any]:
    """Return nbgrader's metadata of a cell, empty when it has none."""
    return cell["metadata"].get("nbgrader", {})


def is_answer(cell: Cell) -> bool:
    return cell["cell_type"] == "code" and about(cell).get("solution", False)


def is_check(cell: Cell) -> bool:
    return cell["cell_type"] == "code" and about(cell).get("grade", False)


def is_manual(cell: Cell) -> bool:
    by_hand = cell["cell_type"] == "markdown" and about(cell).get("grade", False)
    return by_hand or about(cell).get("task", False)


def answer_names(chapter: str) -> list[str]:
    return [about(cell)["grade_id"] for cell in cells_of("solutions", chapter) if is_answer(cell)]


def checks_of(cells: list[Cell], grade_id: str) -> list[Cell]:
    """Return the checks of an answer: those between it and the next answer."""
    checks, current = [], None
    for cell in cells:
        if is_answer(cell):
            current = about(cell)["grade_id"]
        elif is_check(cell) and current == grade_id:
            checks.append(cell)
    return checks


def wrong_answers(chapter: str) -> dict[Path, str]:
    """Return the files of wrong answers, each with the name of the exercise that it answers."""
    found = {}
    for path in sorted((WRONG / chapter).glob("*.py")):
        fitting = [name for name in answer_names(chapter) if path.stem.startswith(f"{name}_")]
        found[path] = max(fitting, key=len, default="")
    return found


def run_cell(cell: Cell, namespace: dict[str, Any]) -> None:
    name = about(cell).get("grade_id", cell.get("id", "cell"))
    exec(compile(source_of(cell), f"<{name}>", "exec"), namespace)


def run_before(cells: list[Cell], grade_id: str) -> dict[str, Any]:
    """Run what stands before an answer, without the checks of other answers."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for cell in cells:
        if about(cell).get("grade_id") == grade_id:
            break
        if cell["cell_type"] == "code" and not is_check(cell):
            run_cell(cell, namespace)
    return namespace


EXERCISES_FOUND = [(chapter, name) for chapter in CHAPTERS for name in answer_names(chapter)]
WRONG_FOUND = [
    (chapter, path, name)
    for chapter in CHAPTERS
    for path, name in wrong_answers(chapter).items()
    if name
]
each_chapter = pytest.mark.parametrize("chapter", CHAPTERS)
each_exercise = pytest.mark.parametrize(("chapter", "name"), EXERCISES_FOUND)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Run exercises in the profile `smoke`, in an empty folder."""
    monkeypatch.setenv("TRANSFERLAB_PROFILE", "smoke")
    monkeypatch.chdir(tmp_path)


def test_there_are_exercises() -> None:
    assert CHAPTERS, f"{ROOT / 'solutions'} holds no {EXERCISES}"


@each_chapter
def test_the_solved_edition_passes_from_top_to_bottom(chapter: str) -> None:
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for cell in cells_of("solutions", chapter):
        if cell["cell_type"] == "code":
            run_cell(cell, namespace)
    assert namespace["run"].profile == "smoke"


@each_exercise
def test_an_exercise_can_be_solved_alone(chapter: str, name: str) -> None:
    """Run the student edition with this one answer; what fails elsewhere does not matter."""
    (solved,) = [c for c in cells_of("solutions", chapter) if about(c).get("grade_id") == name]
    student = cells_of("course", chapter)
    passing = [about(cell)["grade_id"] for cell in checks_of(student, name)]
    assert passing, f"{name} has no check"
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for cell in student:
        if cell["cell_type"] != "code":
            continue
        if about(cell).get("grade_id") in passing:
            run_cell(cell, namespace)
            continue
        try:
            run_cell(solved if about(cell).get("grade_id") == name else cell, namespace)
        except NotImplementedError:
            assert is_check(cell) or not about(cell), (
                "an unsolved answer fails only when it is used"
            )


@each_chapter
def test_the_student_edition_fails_every_check(chapter: str) -> None:
    namespace: dict[str, Any] = {"__name__": "__main__"}
    passed = []
    for cell in cells_of("course", chapter):
        if cell["cell_type"] != "code":
            continue
        if not is_check(cell):
            try:
                run_cell(cell, namespace)
            except NotImplementedError:
                assert not about(cell)  # a cell that puts the answers together
            continue
        try:
            run_cell(cell, namespace)
            passed.append(about(cell)["grade_id"])
        except (AssertionError, NotImplementedError):
            pass
    assert passed == [], "these checks pass without an answer"


@pytest.mark.parametrize(
    ("chapter", "path", "name"), WRONG_FOUND, ids=[path.stem for _, path, _ in WRONG_FOUND]
)
def test_a_wrong_answer_is_told_what_is_wrong(chapter: str, path: Path, name: str) -> None:
    code = path.read_text(encoding="utf-8")
    docstring = ast.get_docstring(ast.parse(code)) or ""
    assert re.match(r"[A-Z`].+\.$", docstring.partition("\n")[0]), "say the misconception"
    (expected,) = re.findall(r"^expected: (.+)$", docstring, re.MULTILINE)
    cells = cells_of("solutions", chapter)
    namespace = run_before(cells, name)
    exec(compile(code, str(path), "exec"), namespace)
    with pytest.raises(AssertionError) as rejection:
        for cell in checks_of(cells, name):
            run_cell(cell, namespace)
    assert expected in str(rejection.value)


@each_exercise
def test_every_exercise_has_wrong_answers(chapter: str, name: str) -> None:
    files = [path.stem for path, answered in wrong_answers(chapter).items() if answered == name]
    assert len(files) >= 2, f"{WRONG / chapter} has {files} for {name}; expected at least two"


def test_every_wrong_answer_belongs_to_an_exercise() -> None:
    files = {path for path in WRONG.rglob("*.py") if "__pycache__" not in path.parts}
    assert files == {path for _, path, _ in WRONG_FOUND}


@each_chapter
def test_every_check_says_what_is_wrong(chapter: str) -> None:
    """A bare `assert` would only show its code; every one has a sentence."""
    for cell in filter(is_check, cells_of("solutions", chapter)):
        asserts = [n for n in ast.walk(ast.parse(source_of(cell))) if isinstance(n, ast.Assert)]
        assert asserts, f"{about(cell)['grade_id']} checks nothing"
        assert all(node.msg for node in asserts), about(cell)["grade_id"]


@each_chapter
def test_what_a_person_marks_has_a_rubric_that_students_do_not_see(chapter: str) -> None:
    manual = list(filter(is_manual, cells_of("solutions", chapter)))
    assert manual, "expected at least one written exercise"
    students = "\n".join(source_of(cell) for cell in cells_of("course", chapter))
    for cell in manual:
        rubric = MARK_SCHEME.search(source_of(cell))
        assert rubric, f"{about(cell)['grade_id']} has no marking scheme"
        lines = [line.strip() for line in rubric[1].splitlines() if line.strip()]
        assert not [line for line in lines if line in students]
    assert "MARK SCHEME" not in students


@each_chapter
def test_the_student_edition_is_what_its_source_gives(chapter: str) -> None:
    kept = (ROOT / "course" / chapter / EXERCISES).read_text(encoding="utf-8")
    made = student_edition(ROOT / "solutions" / chapter / EXERCISES)
    assert kept == made, "run `transferlab exercises`"


@each_chapter
def test_the_points_add_up_to_what_the_header_says(chapter: str) -> None:
    cells = cells_of("solutions", chapter)
    graded = [cell for cell in cells if about(cell).get("grade") or about(cell).get("task")]
    points = [about(cell)["points"] for cell in graded]
    assert min(points) > 0
    header = next(cell for cell in cells if has_tag(cell, "header"))
    assert POINTS.findall(source_of(header)) == [str(sum(points))]
    headings = [
        line
        for cell in cells
        if cell["cell_type"] == "markdown"
        for line in source_of(cell).splitlines()
        if line.startswith("## Exercise ")
    ]
    assert sum(int(POINTS.findall(line)[-1]) for line in headings) == sum(points)


@each_chapter
@pytest.mark.parametrize("folder", ["solutions", "course"])
def test_nbgrader_accepts_the_notebook(folder: str, chapter: str) -> None:
    notebook = nbformat.read(ROOT / folder / chapter / EXERCISES, as_version=4)
    nbformat.validate(notebook)
    CheckCellMetadata().preprocess(notebook, {})
    graded = [cell.metadata.nbgrader for cell in notebook.cells if "nbgrader" in cell.metadata]
    names = [entry.grade_id for entry in graded]
    assert len(names) == len(set(names)), "two cells have the same grade_id"
    assert {entry.schema_version for entry in graded} == {3}
    if folder == "course":
        checks = [cell.metadata for cell in notebook.cells if is_check(cell)]
        assert not [entry for entry in checks if entry.editable or entry.deletable]


@each_chapter
def test_exercises_begin_like_a_lesson(chapter: str) -> None:
    code = [cell for cell in cells_of("solutions", chapter) if cell["cell_type"] == "code"]
    assert has_tag(code[0], "parameters")
    assert source_of(code[0]) == 'profile = "class"\ndevice = "auto"\nseed = 0'
    assert "run = lesson.start(profile, device, seed)" in source_of(code[1])


@pytest.mark.parametrize(
    "chapter", sorted({path.parent.name for path in ROOT.glob("course/*/*.ipynb")})
)
def test_the_chapter_can_be_released(chapter, tmp_path):
    house = (ROOT / "course", ROOT / "solutions")
    names, left_out = write_bundle([chapter], tmp_path / "bundle.zip", *house)
    assert not left_out
    assert not [name for name in names if "solutions" in name or name.startswith("tests")]
    solved = (ROOT / "solutions" / chapter / "exercises.ipynb").is_file()
    assert (f"course/{chapter}/exercises.ipynb" in names) == solved
