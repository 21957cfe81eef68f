"""Every lesson is run with parameters from outside, and keeps to the anatomy of the course.

That the notebooks are kept clean and their headers fresh is tested in tests/kit.
"""

import ast
import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from demonstrations import CHANGES, SPOKEN, with_demonstration
from nbformat import v4

from transferlab.errors import InputError
from transferlab.kit.lessons import LESSONS, read_lesson
from transferlab.kit.notebooks import has_tag, notebook_text, read_json, source_of
from transferlab.kit.run import run_lessons

COURSE = Path(__file__).parents[2] / "course"
PATHS = sorted(COURSE.glob(LESSONS))
PARAMETERS = {"profile": str, "device": str, "seed": int}
MAX_OUTPUT_BYTES = 400_000
SELF_CHECKS = 3  # at least, in every lesson
IMAGES = ("image/png", "image/jpeg", "image/svg+xml")

Notebook = dict[str, Any]
each_lesson = pytest.mark.parametrize(
    "path", PATHS, ids=[f"{path.parent.name}/{path.stem}" for path in PATHS]
)


def code_cells(notebook: Notebook) -> list[dict[str, Any]]:
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    return [cell for cell in cells if not has_tag(cell, "injected-parameters")]


def outputs(notebook: Notebook) -> Iterator[dict[str, Any]]:
    for cell in code_cells(notebook):
        yield from cell["outputs"]


def text_of(notebook: Notebook) -> str:
    """Return everything that the cells have printed."""
    return "".join("".join(output.get("text", "")) for output in outputs(notebook))


def faults(notebook: Notebook) -> list[str]:
    """Return what is wrong with the text and the kept outputs of a lesson."""
    return [*anatomy_faults(notebook), *output_faults(notebook)]


def anatomy_faults(notebook: Notebook) -> Iterator[str]:
    cells, code = notebook["cells"], code_cells(notebook)
    if not (cells[0]["cell_type"] == "markdown" and has_tag(cells[0], "header")):
        yield "the first cell is not a header: markdown, tagged `header`"
    if [cell for cell in code if has_tag(cell, "parameters")] != code[:1]:
        yield "the first code cell, and no other, is to be tagged `parameters`"
    else:
        yield from parameter_faults(source_of(code[0]))
    if len(code) < 2 or "run = lesson.start(profile, device, seed)" not in source_of(code[1]):
        yield "the second code cell does not call lesson.start(profile, device, seed)"
    texts = "\n" + "\n".join(source_of(cell) for cell in cells if cell["cell_type"] == "markdown")
    heading, _, last_section = texts.rpartition("\n## ")[2].partition("\n")
    if heading.strip() != "References":
        yield f"the last section is {heading.strip()!r}, expected References"
    elif not re.search(r"\b(1[89]|20)\d\d\b", last_section):
        yield "the references name no year"
    if not [cell for cell in code if ".show()" in source_of(cell)]:
        yield "no claims table: no cell calls claims.show()"
    yield from self_check_faults(texts)
    for cell in code:
        yield from argument_faults(source_of(cell))


def argument_faults(source: str) -> Iterator[str]:
    """Return the arguments that a lesson need not give: every function follows its device."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            function = ast.unparse(node.func)
            given = {word.arg: ast.unparse(word.value) for word in node.keywords}
            bare_torch = function == "data.batches" or function.startswith("torch.")
            if given.get("device") == "run.device" and not bare_torch:
                yield f"{function}(…, device=run.device): device='auto' is the lesson's device"
            if "progress" in given:
                yield f"{function}(…, progress=…): bars keep quiet by themselves"


def self_check_faults(texts: str) -> Iterator[str]:
    """Return what is wrong with the folded questions: a summary, then choices with explanations."""
    checks = re.findall(r"<details><summary><b>Check yourself.(.*?)</details>", texts, re.DOTALL)
    if len(checks) < SELF_CHECKS:
        yield f"there are {len(checks)} self-checks, expected at least {SELF_CHECKS}"
    for check in checks:
        question, closed, answers = check.partition("</summary>\n\n")
        choices = re.findall(r"^- \*[^\n]+\*[^\n]*$", answers, re.MULTILINE)
        if not closed or len(choices) < 2:
            yield f"a self-check without two choices of the form `- *choice.* why`: {question}"
        for choice in choices:
            if len(choice.rpartition("*")[2].split()) < 1:
                yield f"a choice without an explanation: {choice}"


def parameter_faults(source: str) -> Iterator[str]:
    found = {}
    for node in ast.parse(source).body:
        try:
            found[node.targets[0].id] = ast.literal_eval(node.value)
        except (AttributeError, ValueError):
            yield f"line {node.lineno} of the parameters is not `name = literal`"
    for name, kind in PARAMETERS.items():
        if not isinstance(found.get(name), kind):
            yield f"the parameter {name} is {found.get(name)!r}, expected {kind.__name__}"
    if (found.get("profile"), found.get("device")) != ("class", "auto"):
        yield "a lesson starts as profile 'class' on device 'auto'"


def output_faults(notebook: Notebook) -> Iterator[str]:
    for output in outputs(notebook):
        if output["output_type"] == "error":
            yield f"an error is kept: {output['ename']}: {output['evalue']}"
        kinds = output.get("data", {})
        for kind in (kind for kind in IMAGES if kind in kinds):
            if not output["metadata"].get(kind, {}).get("alt", "").strip():
                yield f"an image ({kind}) has no text for the blind: metadata alt is missing"
    warning = re.search(r"^.*Warning: .*$", text_of(notebook), re.MULTILINE)
    if warning:
        yield f"a warning is kept: {warning[0]}"
    size = sum(len(json.dumps(output)) for output in outputs(notebook))
    if size > MAX_OUTPUT_BYTES:
        yield f"the outputs have {size:,} bytes, expected at most {MAX_OUTPUT_BYTES:,}"


def claims_in(notebook: Notebook) -> list[list[dict[str, Any]]]:
    """Return the tables of claims among the outputs."""
    entries = [output.get("metadata", {}) for output in outputs(notebook)]
    return [entry["transferlab_claims"] for entry in entries if "transferlab_claims" in entry]


def run_faults(executed: Notebook) -> Iterator[str]:
    """Return what is wrong with a lesson that was run with the seed 1 in `smoke`."""
    yield from output_faults(executed)
    if not re.search(r"^profile smoke, device .*, seed 1$", text_of(executed), re.MULTILINE):
        yield "the injected parameters did not arrive in lesson.start"
    tables = claims_in(executed)
    if len(tables) != 1 or not tables[0]:
        yield f"the run shows {len(tables)} tables of claims, expected one that is not empty"
        return
    with_code = [cell for cell in code_cells(executed) if cell["outputs"]]
    last_figure = max((i for i, cell in enumerate(with_code) if has_image(cell)), default=-1)
    if not claims_in({"cells": with_code[last_figure + 1 :]}):
        yield "the table of claims stands before a figure; it belongs to the end"


def has_image(cell: dict[str, Any]) -> bool:
    return any(kind in output.get("data", {}) for output in cell["outputs"] for kind in IMAGES)


def run(path: Path, build: Path) -> tuple[str, Notebook]:
    """Run one lesson, with what a teacher shows live; return what went wrong, and the notebook."""
    path = with_demonstration(path, build / "course")
    device = os.environ.get("TRANSFERLAB_DEVICE") or "cpu"
    options = {"jobs": 1, "threads": 1, "build": build}  # pytest-xdist has a worker on every core
    (result,) = run_lessons([read_lesson(path)], "smoke", device, {"seed": 1}, **options)
    return result.error, read_json(result.notebook) if result.notebook else {"cells": []}


def test_there_are_lessons() -> None:
    assert PATHS, f"{COURSE} holds no lesson such as 01_background/01_why_pretrain.ipynb"


@each_lesson
def test_a_lesson_runs_with_other_parameters(path: Path, tmp_path: Path) -> None:
    error, executed = run(path, tmp_path)
    assert error == ""
    assert list(run_faults(executed)) == []


def test_the_teachers_page_shows_what_is_tried_here() -> None:
    page = (COURSE / "TEACHING.md").read_text(encoding="utf-8")
    table = page.partition("## Lesson by lesson")[2].partition("\n## ")[0]
    shown = set(re.findall(r"^\| \[[^]]*\]\((\S+)\.ipynb\)", table, re.MULTILINE))
    assert shown == set(CHANGES) | SPOKEN
    assert not set(CHANGES) & SPOKEN


@each_lesson
def test_a_lesson_refuses_an_unknown_parameter(path: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"{path.stem} has no parameter 'sed'; it has profile, "):
        run_lessons([read_lesson(path)], "smoke", "cpu", {"sed": 1}, build=tmp_path)


@each_lesson
def test_a_lesson_has_the_anatomy_of_the_course(path: Path) -> None:
    assert faults(read_json(path)) == []
    assert len(claims_in(read_json(path))) <= 1


# ---- the checks above, tried on toys -------------------------------------------------------------

START = "from transferlab import lesson\n\nrun = lesson.start(profile, device, seed)"
PLOT = (
    "from transferlab import plots\n\n"
    "plots.lines({'a': ([1, 2], [1, 2])}, x_label='x', y_label='y', alt='A line that rises.')"
)
SELF_CHECK = (
    "<details><summary><b>Check yourself.</b> Is one one?</summary>\n\n"
    "- *Yes.* Right.\n- *No.* Count again.\n\n</details>\n"
)
CLAIMS = "claims = lesson.Claims(run)\nclaims.fact('one is one', True)\nclaims.show()"


def toy(*code: str) -> Notebook:
    """Return a lesson with a header, the parameters, this code, and references."""
    header = v4.new_markdown_cell("# A toy", metadata={"tags": ["header"]})
    parameters = v4.new_code_cell('profile = "class"\ndevice = "auto"\nseed = 0')
    parameters.metadata["tags"] = ["parameters"]
    checks = v4.new_markdown_cell(SELF_CHECK * SELF_CHECKS)
    references = v4.new_markdown_cell("## References\n\nStudent: *The probable error*. 1908.")
    cells = [header, parameters, *map(v4.new_code_cell, code), checks, references]
    return v4.new_notebook(cells=cells)


def test_a_good_toy_has_no_faults(tmp_path: Path) -> None:
    path = tmp_path / "course" / "01_a" / "01_toy.ipynb"
    path.parent.mkdir(parents=True)
    path.write_text(notebook_text(toy(START, PLOT, CLAIMS)), encoding="utf-8")
    assert faults(read_json(path)) == []
    error, executed = run(path, tmp_path / "build")
    assert error == ""
    assert list(run_faults(executed)) == []


def output(**more: Any) -> Callable[[Notebook], None]:
    """Return a function that lets the second code cell have this output."""
    return lambda notebook: notebook["cells"][2].outputs.append(v4.new_output(**more))


def replace(index: int, source: str) -> Callable[[Notebook], None]:
    return lambda notebook: notebook["cells"][index].update(source=source)


IMAGE = {"output_type": "display_data", "data": {"image/png": "aGk="}}
WARNING = "/a.py:3: UserWarning: old\n  f()\n"


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (lambda notebook: notebook["cells"].pop(0), "the first cell is not a header"),
        (lambda notebook: notebook["cells"].pop(1), "the first code cell, and no other, is"),
        (replace(1, 'profile = "class"\ndevice = "auto"\nseed = 1 + n'), "line 3 of the param"),
        (replace(1, 'profile = "class"\ndevice = "auto"'), "the parameter seed is None"),
        (replace(1, 'profile = "smoke"\ndevice = "auto"\nseed = 0'), "starts as profile 'class'"),
        (replace(2, "x = 1"), "does not call lesson.start"),
        (replace(3, "x = 1"), "no claims table"),
        (replace(3, "fit(model, device=run.device)"), "fit(…, device=run.device): device='auto'"),
        (replace(3, "fit(model, progress=False)"), "fit(…, progress=…): bars keep quiet"),
        (replace(4, SELF_CHECK * 2), "there are 2 self-checks, expected at least 3"),
        (replace(4, SELF_CHECK.replace("Right.", "") * 3), "a choice without an explanation: - *Y"),
        (replace(4, SELF_CHECK.replace("- *No.*", "No.") * 3), "a self-check without two choices"),
        (replace(4, SELF_CHECK.replace("ry>\n", "ry>") * 3), "a self-check without two choices"),
        (replace(5, "## Recap\n\nIn 1908."), "the last section is 'Recap', expected References"),
        (replace(5, "## References\n\nA book."), "the references name no year"),
        (output(output_type="error", ename="KeyError", evalue="1"), "an error is kept: KeyError"),
        (output(output_type="stream", text=WARNING), "a warning is kept: /a.py:3: UserWarning"),
        (output(**IMAGE), "has no text for the blind"),
        (output(output_type="stream", text="x" * 400_000), "bytes, expected at most 400,000"),
    ],
)
def test_a_spoiled_toy_is_found_out(spoil: Callable[[Notebook], None], fault: str) -> None:
    notebook = toy(START, CLAIMS)
    spoil(notebook)
    assert [sentence for sentence in faults(notebook) if fault in sentence], faults(notebook)


def table(*claims: str) -> dict[str, Any]:
    records = [{"name": name, "holds": True} for name in claims]
    data = {"text/plain": "a table"}
    return {
        "output_type": "display_data",
        "data": data,
        "metadata": {"transferlab_claims": records},
    }


FIGURE = {**IMAGE, "metadata": {"image/png": {"alt": "A figure."}}}
STARTED = {"output_type": "stream", "text": "profile smoke, device cpu, 1 threads, seed 1\n"}


@pytest.mark.parametrize(
    ("shown", "fault"),
    [
        ([STARTED, FIGURE, table("one is one")], None),
        ([{**STARTED, "text": "profile class, device cpu, seed 0\n"}, table("a")], "injected"),
        ([STARTED], "shows 0 tables of claims"),
        ([STARTED, table()], "expected one that is not empty"),
        ([STARTED, table("a"), table("b")], "shows 2 tables of claims"),
        ([STARTED, table("a"), FIGURE], "stands before a figure"),
    ],
)
def test_what_a_run_shows_is_looked_at(shown: list[dict[str, Any]], fault: str | None) -> None:
    notebook = toy(*["pass"] * len(shown))
    for cell, entry in zip(notebook.cells[2:], shown, strict=False):
        cell.outputs = [v4.new_output(**entry)]
    found = list(run_faults(notebook))
    assert len(found) == (fault is not None), found
    assert fault is None or fault in found[0]
