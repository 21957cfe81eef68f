"""Toy courses: lessons that take a second each and exercises with every kind of secret."""

from collections.abc import Callable
from pathlib import Path

import nbformat
from nbformat import v4

PARAMETERS = 'profile = "class"\ndevice = "auto"\nseed = 0'


def write_lesson(
    course: Path, name: str, *cells: str, title: str = "A toy", minutes: int = 5
) -> Path:
    """Write a lesson with a header, the parameters, these code cells, and minutes of reading."""
    header = v4.new_markdown_cell(f"# {title}\n\nYou will see a toy.")
    header.metadata["tags"] = ["header"]
    parameters = v4.new_code_cell(PARAMETERS)
    parameters.metadata["tags"] = ["parameters"]
    notebook = v4.new_notebook(metadata={"transferlab": {}})
    notebook.cells = [header, parameters, *map(v4.new_code_cell, cells)]
    if minutes > 5:
        notebook.cells.append(v4.new_markdown_cell(" ".join(["word"] * 200 * (minutes - 1))))
    path = course / f"{name}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)
    return path


def write_solved(solutions: Path, chapter: str, answer: str = "return 2 * number + 40") -> Path:
    """Write a solved exercise notebook with a solution, hidden tests, an essay and a task."""

    def cell(make: Callable, text: str, grade_id: str, **nbgrader: object) -> nbformat.NotebookNode:
        flags = {"grade": False, "solution": False, "task": False, "locked": False}
        metadata = {"grade_id": grade_id, "schema_version": 3, **flags, **nbgrader}
        return make(text, metadata={"nbgrader": metadata})

    code = f"def double(number):\n    ### BEGIN SOLUTION\n    {answer}\n    ### END SOLUTION"
    checks = (
        "assert callable(double)\n### BEGIN HIDDEN TESTS\n"
        "assert double(1) == 42, 'a hidden message'\n### END HIDDEN TESTS"
    )
    task = (
        "Draw it.\n\n=== BEGIN MARK SCHEME ===\nTwo points for the axes.\n=== END MARK SCHEME ==="
    )
    notebook = v4.new_notebook()
    notebook.cells = [
        v4.new_markdown_cell("# Exercises\n\nWrite a function."),
        cell(v4.new_code_cell, code, "double", solution=True),
        cell(v4.new_code_cell, checks, "double_test", grade=True, locked=True, points=2),
        cell(
            v4.new_markdown_cell,
            "Because labels are few.",
            "why",
            grade=True,
            solution=True,
            points=1,
        ),
        cell(v4.new_markdown_cell, task, "draw", task=True, points=2),
    ]
    notebook.cells[1].outputs = [v4.new_output("stream", text="an output that gives it away")]
    path = solutions / chapter / "exercises.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)
    return path
