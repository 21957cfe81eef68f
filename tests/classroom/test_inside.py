"""Judging inside the sandbox: honest answers get their points; forged ones fail, or are flagged."""

import json
from pathlib import Path

import pytest
from boxes import RIGHT, marks, run, working_sandbox

from transferlab.kit.classroom import intact, syscalls
from transferlab.kit.classroom.sandbox import Limits, Sandbox
from transferlab.kit.classroom.suspects import suspects
from transferlab.kit.exercises import EXERCISES
from transferlab.kit.notebooks import read_json, source_of

ROOT = Path(__file__).parents[2]
CHAPTERS = sorted(path.parent.name for path in ROOT.glob(f"solutions/*/{EXERCISES}"))
LIMITS = Limits(120, 20)


@pytest.fixture(scope="module")
def sandbox() -> Sandbox:
    return working_sandbox()


def chapter(folder: str, name: str) -> list[dict]:
    """Return the code cells of a chapter's exercises as `inside` takes them."""
    cells = []
    for cell in read_json(ROOT / folder / name / EXERCISES)["cells"]:
        about = cell["metadata"].get("nbgrader", {})
        kind = "check" if about.get("grade") else "answer" if about.get("solution") else "code"
        points = about.get("points") or 0
        if cell["cell_type"] == "code":
            found = {"id": about.get("grade_id"), "kind": kind, "points": points}
            cells.append(found | {"source": source_of(cell)})
    return cells


# ---- honest answers ------------------------------------------------------------------------------


def test_a_solved_chapter_passes_all_its_checks(sandbox: Sandbox) -> None:
    cells = chapter("solutions", "02_concepts")
    ended = sandbox.run(json.dumps({"cells": cells}).encode(), Limits())
    assert set(map(tuple, marks(ended).values())) == {tuple(RIGHT)}
    assert len(marks(ended)) == 6
    assert json.loads(ended.result)["flags"] == []
    assert 100 << 20 < ended.memory < 1 << 30


def test_the_edition_that_students_get_passes_none(sandbox: Sandbox) -> None:
    cells = chapter("course", "02_concepts")
    ended = sandbox.run(json.dumps({"cells": cells}).encode(), Limits())
    assert {status for status, _ in marks(ended).values()} == {"failed"}
    assert {message for _, message in marks(ended).values()} == {"NotImplementedError: "}


def test_no_solved_answer_is_suspect() -> None:
    for name in CHAPTERS:
        for cell in chapter("solutions", name):
            if cell["kind"] == "answer":
                assert list(suspects(cell["source"])) == [], cell["id"]


FIRST = """
import math

def near(a, b):
    return math.isclose(a, b)
"""
CHECK = "assert near(double(2), 4), 'double(2) is not 4'\nassert double(3) == 6"
ANSWER = "def double(n):\n    return 2 * n\n"
HONEST = {
    "plain": ANSWER,
    "prints and warns": (
        "import sys, warnings\ndef double(n):\n    print('x' * 999, file=sys.stderr)\n"
        "    warnings.warn('slow')\n    return 2 * n"
    ),
    "slow": "import time\ndef double(n):\n    time.sleep(0.7)\n    return 2 * n",
    "error below it": ANSWER + "print(duble(2))",
    "magic": "%matplotlib inline\n!ls\n" + ANSWER + "display(double(2))",
    "in several steps": "class D:\n    def __call__(self, n): return n + n\ndouble = D()",
    "same helper again": ANSWER + "def near(a, b):\n    return abs(a - b) < 1e-9",
    "reads a file it wrote": (
        "open('two', 'w').write('2')\ndef double(n):\n    return n * int(open('two').read())"
    ),
}
WRONG = {
    "wrong": ("def double(n):\n    return n * n", "AssertionError: "),
    "misconception": ("def double(n):\n    return n", "double(2) is not 4"),
    "name missing": ("def duble(n):\n    return 2 * n", "NameError: name 'double' is not defined"),
    "syntax": ("def double(n)\n    return 2 * n", "SyntaxError: expected ':'"),
    "cell raises": ("1 / 0\n" + ANSWER, "ZeroDivisionError: division by zero (So ended"),
    "text raises": (
        "class F(Exception):\n    def __str__(self): 1 / 0\ndef double(n): raise F",
        "an error without a text",
    ),
    "error's text is no text": (
        "class S(str):\n    def __getitem__(self, i): return None\n"
        "    def __bool__(self): return False\n"
        "class E(Exception):\n    def __str__(self): return S('x')\ndef double(n): raise E",
        "E: x",
    ),
}
# What decides its own check. Each must fail, and say why; or pass with a flag for a person.
RIGGED = {
    "near is always true": "def near(*a): return True\ndef double(n): return 4",
    "math.isclose": "import math\nmath.isclose = lambda *a: True\ndef double(n): return n * 3",
    "and put back": (
        "import math\nkept = math.isclose\ndef double(n):\n"
        "    math.isclose = kept if n == 3 else (lambda *a: True)\n    return 6"
    ),
    "len": "import builtins\nbuiltins.len = lambda x: 4\n" + ANSWER,
    "AssertionError": (
        "import builtins\nbuiltins.AssertionError = None\ndef double(n): return n * 3"
    ),
    "near's code": "near.__code__ = (lambda a, b: True).__code__\ndef double(n): return 6",
    "other builtins": "__builtins__ = {'abs': None}\ndef double(n): return n * 3",
    "jumps over": (
        "import sys\ndef tracer(frame, event, arg):\n    return tracer\ndef double(n):\n"
        "    frame = sys._getframe(1)\n    frame.f_trace = tracer\n"
        "    sys.settrace(tracer)\n    return 6"
    ),
    "ends well": "def double(n):\n    raise SystemExit(0)",
    "hooks": (
        "import atexit, sys\natexit.register(print, 'passed')\n"
        "sys.excepthook = lambda *a: None\ndef double(n): return 7"
    ),
    "step by name": (
        "def double(n):\n    for name in list(globals()):\n        if name.startswith('_step_'):\n"
        "            globals()[name] = lambda n: None\n    return 2 * n"
    ),
}
FLAGGED = {
    "equals everything": "class All(float):\n    def __eq__(self, other): return True\n"
    "    def __mul__(self, o): return self\ndef double(n): return All(4)",
    "walks the frames": "def double(n):\n    try: 1 / 0\n    except ZeroDivisionError as e:\n"
    "        frame = e.__traceback__.tb_frame.f_back\n    return 2 * n",
    "walks the memory": "import gc\ndef double(n):\n    gc.get_objects()\n    return 2 * n",
    "looks for the judge": "import os\nfound = os.listdir('/proc/self/fd')\n" + ANSWER,
    "redefines": ANSWER + "def near(a, b):\n    return True",
    "hidden in a text": "kind = type('All', (float,), {'__eq__': print})\n" + ANSWER,
}


Marks = dict[str, list[str]]
Flags = dict[str, list[str]]


def mark(sandbox: Sandbox, answers: dict[str, str]) -> tuple[Marks, Flags]:
    """Mark answers together; each gets a function of its own name, for they share a namespace."""
    names = {name: f"double{number}" for number, name in enumerate(answers)}
    exercises = {
        name: (answer.replace("double", names[name]), CHECK.replace("double(", f"{names[name]}("))
        for name, answer in answers.items()
    }
    ended = run(sandbox, exercises, LIMITS, FIRST)
    flags: Flags = {name: [] for name in answers}
    for flag in json.loads(ended.result)["flags"]:
        name, _, found = flag.partition(": ")
        flags[name.removesuffix(" answer")].append(found)
    found = {
        name: [status, message.replace(names[name], "double")]
        for name, (status, message) in marks(ended).items()
    }
    return found, flags


@pytest.fixture(scope="module")
def together(sandbox: Sandbox) -> tuple[Marks, Flags]:
    return mark(sandbox, HONEST | {name: wrong[0] for name, wrong in WRONG.items()} | FLAGGED)


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_answer_passes(together: tuple[Marks, Flags], name: str) -> None:
    assert together[0][name] == RIGHT


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_answer_fails_with_its_sentence(together: tuple[Marks, Flags], name: str) -> None:
    status, message = together[0][name]
    assert status == "failed"
    assert message.startswith(WRONG[name][1])


@pytest.mark.parametrize("name", RIGGED)
def test_an_answer_that_decides_its_own_check_fails(sandbox: Sandbox, name: str) -> None:
    """Each in a sandbox of its own: some change the process for all the others."""
    ((status, message),) = mark(sandbox, {name: RIGGED[name]})[0].values()
    assert status in ("failed", "crashed")  # `len` is used by what tells the judge, too
    assert message


@pytest.mark.parametrize("name", FLAGGED)
def test_what_cannot_be_prevented_is_flagged(together: tuple[Marks, Flags], name: str) -> None:
    assert together[1][name]


def test_nothing_else_is_flagged(together: tuple[Marks, Flags]) -> None:
    quiet = [name for name in HONEST if name not in ("prints and warns", "same helper again")]
    assert {name: together[1][name] for name in quiet} == {
        name: ["uses `open`"] if name == "reads a file it wrote" else [] for name in quiet
    }


# ---- the parts -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import torch\nmodel.eval()\ntorch.compile(f)\nre.compile('x')", []),
        ("import torch.nn.functional as F\nfrom transferlab import data", []),
        ("class A:\n    def __init__(self): self.x = 1\n    def __len__(self): return 1", []),
        ("import ctypes", ["imports `ctypes`", "uses `ctypes`"]),
        ("from os import _exit", ["imports `os`"]),
        ("import torch as t\nt.os.environ", ["uses `os`"]),
        ("from torch import sys as s", ["uses `sys`"]),
        ("import transferlab.kit.classroom", ["imports `transferlab.kit.classroom`"]),
        ("getattr(x, '__dict__')", ["uses `getattr`", "uses `__dict__`"]),
        ("get_ipython().run_line_magic('x', '')", ["uses `get_ipython`"]),
        ("def f(): yield\nf().gi_frame.f_back", ["uses `f_back`", "uses `gi_frame`"]),
        ("def broken(", []),
    ],
)
def test_suspects(source: str, found: list[str]) -> None:
    assert list(suspects(source)) == found


def test_what_was_replaced_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    replaced = intact.watch()
    torch.optim.Adam(torch.nn.Linear(1, 1).parameters()).step()  # torch wraps `step` itself
    assert replaced(True) == replaced(False) == []
    monkeypatch.setattr(torch, "allclose", lambda *a: True)
    monkeypatch.setattr(torch.Tensor, "sum", lambda self: 0, raising=False)  # hides the parent's
    monkeypatch.setattr(torch.nn.functional.relu, "__code__", (lambda x: x).__code__)
    assert replaced(True) == ["torch.allclose", "torch.Tensor.sum"]
    assert "torch.nn.functional.relu" in replaced(False)
    monkeypatch.setattr("transferlab.metrics.len", lambda x: 4, raising=False)
    assert "transferlab.metrics.len" in replaced(False)


def test_a_second_check_may_use_what_the_first_defines(sandbox: Sandbox) -> None:
    sources = [ANSWER, "def twice(n): return n + n\nassert double(1) == 2"]
    sources.append("assert double(2) == twice(2)")
    kinds = [("a", "answer"), ("one", "check"), ("two", "check")]
    cells = [
        {"id": name, "kind": kind, "source": source, "points": 1}
        for (name, kind), source in zip(kinds, sources, strict=True)
    ]
    found = marks(sandbox.run(json.dumps({"cells": cells}).encode(), LIMITS))
    assert found == {"one": RIGHT, "two": RIGHT}


def test_deep_and_long_answers_are_no_reason_to_stop(sandbox: Sandbox) -> None:
    answers = {"deep": "x = " + "-" * 20_000 + "1", "long": "x = '" + "x" * 3_000_000 + "'"}
    answers |= {"null": "x = 1\0", "last": ANSWER}
    found, _ = mark(sandbox, answers)
    assert found["last"] == RIGHT
    assert {found[name][0] for name in answers} == {"failed", "passed"}


def test_the_filter_fits_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(syscalls.platform, "machine", lambda: "aarch64")
    arm = syscalls.seccomp_filter()
    assert len(arm) % 8 == 0
    assert (279).to_bytes(4, "little") in arm  # memfd_create
    monkeypatch.setattr(syscalls.platform, "machine", lambda: "riscv64")
    assert syscalls.seccomp_filter() is None
