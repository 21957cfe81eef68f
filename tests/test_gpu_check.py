"""The check for machines with a GPU: its pieces that run without one."""

import json
import re
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

HERE = Path(__file__).parent
SCRIPT = HERE / "gpu_check.sh"


def notebook(path: Path, *cells: str, tag: str = "parameters") -> Path:
    """Write a notebook of these code cells; the first has the tag."""
    made = [
        {"cell_type": "code", "source": source.splitlines(keepends=True), "metadata": {}}
        for source in cells
    ]
    made[0]["metadata"] = {"tags": [tag]}
    text = {"cell_type": "markdown", "source": ["# Not code"], "metadata": {}}
    path.write_text(json.dumps({"cells": [text, *made]}), encoding="utf-8")
    return path


def run_cells(path: Path, *options: str) -> subprocess.CompletedProcess:
    command = [sys.executable, HERE / "gpu" / "run_cells.py", path, *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


PARAMETERS = 'profile = "class"\ndevice = "auto"\nseed = 0\n'


def test_cells_run_in_order_with_the_parameters_given(tmp_path):
    path = notebook(
        tmp_path / "toy.ipynb",
        PARAMETERS,
        "import inspect\n\ndef said():\n    return (profile, device, seed)\n",
        "kept = [1]\nsaid()",
        "kept.append(2)\nNone",
        "inspect.getsource(said).count('return'), kept, __name__",
    )
    done = run_cells(path, "--profile", "smoke", "--device", "cuda", "--seed", "7")
    assert (done.returncode, done.stderr) == (0, "")
    assert "('smoke', 'cuda', 7)" in done.stdout
    assert "(1, [1, 2], '__main__')" in done.stdout
    assert "None" not in done.stdout
    assert "toy.ipynb: 5 code cells in " in done.stdout


def test_a_value_is_shown_as_jupyter_shows_it(tmp_path):
    shown = """class Table:
    def _repr_mimebundle_(self, include=None, exclude=None):
        return {"text/html": "<b>", "text/plain": "the claims"}, {}

Table()"""
    done = run_cells(notebook(tmp_path / "toy.ipynb", PARAMETERS, shown))
    assert done.returncode == 0
    assert "the claims\n" in done.stdout


@pytest.mark.parametrize(
    ("cell", "error"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("%matplotlib inline", "SyntaxError: invalid syntax"),
        ("import sys; sys.exit(0)", "SystemExit: 0"),
    ],
)
def test_a_failing_cell_is_named_and_ends_the_run(tmp_path, cell, error):
    path = notebook(tmp_path / "toy.ipynb", PARAMETERS, "fine = True", cell, "print('later')")
    done = run_cells(path)
    assert done.returncode == 1
    assert f"FAILED in code cell 3 ({cell}): {error}" in done.stdout
    assert "Traceback" in done.stdout
    assert "later" not in done.stdout


def test_a_parameter_that_the_notebook_does_not_know_is_an_error(tmp_path):
    done = run_cells(notebook(tmp_path / "toy.ipynb", "profile = 'class'\nseed = 0"))
    assert done.returncode == 1
    assert "the cell tagged `parameters` does not set device." in done.stdout


def test_a_notebook_without_parameters_is_refused(tmp_path):
    done = run_cells(notebook(tmp_path / "toy.ipynb", PARAMETERS, tag="header"))
    assert done.returncode == 2
    assert "expected one code cell tagged `parameters`" in done.stdout


def test_small_wheels_hold_all_but_the_tests(tmp_path):
    wheel = tmp_path / "toy-1-py3-none-any.whl"
    with ZipFile(wheel, "w") as file:
        for name in ("toy/__init__.py", "toy/tests/test_toy.py", "toy/tests.py"):
            file.writestr(name, "x = 1\n" * 1000)
    subprocess.run([sys.executable, HERE / "gpu" / "shrink_wheels.py", tmp_path], check=True)
    assert [path.name for path in tmp_path.iterdir()] == [wheel.name]
    with ZipFile(wheel) as file:
        assert file.namelist() == ["toy/__init__.py", "toy/tests.py"]
        assert file.read("toy/tests.py") == b"x = 1\n" * 1000
    assert wheel.stat().st_size < 1000


@pytest.mark.skipif(sys.platform == "win32", reason="needs bash")
def test_the_script_is_read_by_bash_and_explains_itself(tmp_path):
    assert subprocess.run(["bash", "-n", SCRIPT], check=False).returncode == 0
    told = subprocess.run(["bash", SCRIPT, "-h"], capture_output=True, text=True, check=True)
    assert "--dry-run" in told.stdout
    wrong = subprocess.run(["bash", SCRIPT, "--dry"], capture_output=True, text=True, check=False)
    assert wrong.returncode == 2
    assert "--dry is unknown" in wrong.stderr


def test_all_steps_together_stay_within_eight_minutes():
    text = SCRIPT.read_text(encoding="utf-8")
    limits = {name: int(limit) for name, limit in re.findall(r'\bstep "?(\S+?)"? (\d+) ', text)}
    lessons = [limit for name, limit in limits.items() if name.startswith("lesson")]
    assert {"packages", "facts", "tests", "speed", "speed_compiled"} < set(limits)
    assert len(lessons) == 1  # one line, called for each lesson
    more_lessons = len(re.findall(r"^ +run_lesson ", text, re.MULTILINE)) - 1
    assert more_lessons == 1
    assert sum(limits.values()) + more_lessons * lessons[0] <= 8 * 60
