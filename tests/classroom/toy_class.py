"""A toy chapter, a class of toy students, and a sandbox that is none: quick, and under control."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from nbformat import v4

from transferlab.kit.classroom.roster import Student
from transferlab.kit.exercises import write_exercises

CHAPTER = "01_a"
STUDENTS = [
    Student("s1", "Ünal, Mara", "mara@school"),
    Student("s2", "Bo Li"),
    Student("s3", "Ada"),
]
ANSWERS = {
    "double": "def double(n):\n    return 2 * n",
    "halve": "def halve(n):\n    return n / 2",
    "Pile": "class Pile(list):\n    size = property(len)",
}
CHECKS = {
    "double": (
        2,
        "assert double(2) == 4, 'double(2) is not 4.'\n### BEGIN HIDDEN TESTS\n"
        "assert double(7) == 14, 'You have learnt the case by heart.'\n### END HIDDEN TESTS",
    ),
    "halve": (3, "assert halve(3) == 1.5, 'A half of 3 is 1.5; // forgets the rest.'"),
    "Pile": (4, "assert Pile([1, 2]).size == 2, 'Two things are in it.'"),
}
# What runs the cells here: checks in a fork each, nothing is kept away from anybody.
INSIDE = """
import json, os, select, signal, sys, time
task, space, checks = json.load(sys.stdin), {"__name__": "__main__"}, {}
seconds, out = float(sys.argv[1]), os.dup(1)
os.dup2(2, 1)
for cell in task["cells"]:
    if cell["kind"] != "check":
        try:
            exec(cell["source"], space)
        except Exception:
            pass
        continue
    here, there = os.pipe()
    child = os.fork()
    if not child:
        found = {"status": "passed", "message": ""}
        try:
            exec(cell["source"], space)
        except BaseException as error:
            found = {"status": "failed", "message": str(error) or type(error).__name__}
        os.write(there, json.dumps(found).encode())
        os._exit(0)
    os.close(there)
    ready, _, _ = select.select([here], [], [], seconds)
    said = os.read(here, 65536) if ready else b""
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    other = {"status": "crashed" if ready else "timed out", "message": ""}
    checks[cell["id"]] = {"seconds": 0.0, **(json.loads(said) if said else other)}
os.write(out, json.dumps({"checks": checks, "values": {}, "flags": []}).encode())
"""


@dataclass(frozen=True)
class Limits:
    seconds: float = 20
    cell_seconds: float = 0.5


@dataclass(frozen=True)
class Ended:
    status: str
    code: int | None
    result: bytes
    log: str = ""
    seconds: float = 0.1
    memory: int = 1 << 20


class Here:
    """Runs the cells in a process of its own, without any protection."""

    name = "here"

    def run(self, task: bytes, limits: Limits) -> Ended:
        command = [sys.executable, "-c", INSIDE, str(limits.cell_seconds)]
        done = subprocess.run(command, input=task, capture_output=True, timeout=60, check=False)
        return Ended("ended" if done.returncode == 0 else "crashed", done.returncode, done.stdout)


@dataclass
class Answering:
    """A sandbox that runs nothing, and says what a test wants it to say."""

    ended: Ended | Exception
    name: str = "answering"

    def run(self, task: bytes, limits: Limits) -> Ended:
        if isinstance(self.ended, Exception):
            raise self.ended
        return self.ended


def cell(make: Callable, text: str, grade_id: str, **nbgrader: Any) -> nbformat.NotebookNode:
    flags = {"grade": False, "solution": False, "task": False, "locked": False}
    metadata = {"grade_id": grade_id, "schema_version": 3, **flags, **nbgrader}
    return make(text, metadata={"nbgrader": metadata})


def write_house(root: Path) -> None:
    """Write a chapter with three exercises in code, one written, and its student edition."""
    cells = [v4.new_markdown_cell("# Exercises"), v4.new_code_cell("import math")]
    for name, answer in ANSWERS.items():
        first, _, rest = answer.partition("\n")
        solved = f"{first}\n    ### BEGIN SOLUTION\n{rest}\n    ### END SOLUTION"
        points, check = CHECKS[name]
        cells.append(cell(v4.new_code_cell, solved, name, solution=True))
        flags = {"grade": True, "locked": True, "points": points}
        cells.append(cell(v4.new_code_cell, check, f"{name}_check", **flags))
    written = "Few labels.\n=== BEGIN MARK SCHEME ===\nOne point.\n=== END MARK SCHEME ==="
    flags = {"grade": True, "solution": True, "points": 1}
    cells.append(cell(v4.new_markdown_cell, written, "why", **flags))
    for number, made in enumerate(cells):
        made["id"] = f"cell-{number:02}"
    path = root / "solutions" / CHAPTER / "exercises.ipynb"
    path.parent.mkdir(parents=True)
    (root / "course" / CHAPTER).mkdir(parents=True)
    nbformat.write(v4.new_notebook(cells=cells), path)
    write_exercises(root / "solutions", root / "course")


def named(notebook: dict[str, Any], grade_id: str) -> dict[str, Any]:
    """Return the first cell of this name."""
    cells = notebook["cells"]
    return next(c for c in cells if c["metadata"].get("nbgrader", {}).get("grade_id") == grade_id)


def content(notebook: dict[str, Any]) -> bytes:
    return json.dumps(notebook).encode()
