"""Judging by value: what comes back is compared outside, and nothing of it is trusted."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from boxes import working_sandbox

from transferlab.errors import InputError
from transferlab.kit import cli
from transferlab.kit.classroom import values
from transferlab.kit.classroom.edition import JUDGE, Edition, about, read_edition
from transferlab.kit.classroom.judging import Cases, Reference, check_part
from transferlab.kit.classroom.marking import mark_submission
from transferlab.kit.classroom.sandbox import Limits
from transferlab.kit.notebooks import source_of

ROOT = Path(__file__).parents[2]
WRONG = ROOT / "tests/notebooks/wrong"
CHAPTERS = sorted(path.parent.name for path in ROOT.glob(f"solutions/*/{JUDGE}"))


def reference(chapter: str) -> Reference:
    return Reference(read_edition(ROOT / "course", ROOT / "solutions", chapter))


# ---- values --------------------------------------------------------------------------------------

TRAVELS = [
    None,
    True,
    -3,
    2.5,
    math.inf,
    "ü\n",
    [1, [2.0, None]],
    (1, "a"),
    {"a": (1, 2), 3: []},
    {"steps", "labels"},
    torch.arange(6).reshape(2, 3),
    torch.tensor(0.5, dtype=torch.float64),
    torch.zeros(0, 4, dtype=torch.bool),
    np.array([[1, 2]], dtype="int16"),
]


@pytest.mark.parametrize("value", TRAVELS)
def test_a_value_comes_back_as_it_was(value: Any) -> None:
    found = values.decode(json.loads(json.dumps(values.encode(value))))
    assert type(found) is type(value)
    assert values.alike(value, found)
    if isinstance(value, torch.Tensor | np.ndarray):
        assert (found.dtype, found.shape) == (value.dtype, value.shape)
    else:
        assert found == value


class Everything(float):
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = float.__hash__


STRANGE = {
    "an heir": Everything(4),
    "an object": object(),
    "a function": len,
    "bytes": b"12",
    "an array of objects": np.array([None]),
}


@pytest.mark.parametrize("name", STRANGE)
def test_an_object_of_another_type_does_not_come_back(name: str) -> None:
    coded = values.encode([STRANGE[name]])
    assert coded["list"][0].keys() == {"other"}
    with pytest.raises(ValueError, match="a value of the type"):
        values.decode(coded)


BROKEN = {
    "no kind": {},
    "two kinds": {"list": [], "tuple": []},
    "code": {"here": "__import__('os').getcwd()"},
    "too few bytes": {"tensor": ["<f8", [2], "AAAA"]},
    "negative shape": {"array": ["<f8", [-1], ""]},
    "shape in words": {"array": ["<f8", ["1"], "AAAAAAAAAAA="]},
    "too large": {"array": ["|u1", [10**20], ""]},
    "objects": {"array": ["|O", [1], "AAAAAAAAAAA="]},
    "unknown type": {"array": ["spam", [0], ""]},
    "no text": {"tensor": ["<f8", [0], 7]},
    "list as key": {"dict": [[{"list": []}, 1]]},
    "list in a set": {"set": [{"list": []}]},
    "a list": [1, 2],
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_value_is_refused(name: str) -> None:
    with pytest.raises(ValueError):
        values.decode(BROKEN[name])


ALIKE = [
    (3, 3.0),
    (0.1 + 0.2, torch.tensor(0.3)),
    (2.0, torch.tensor([2.0])),
    ([1, 2], torch.tensor([1, 2])),
    (torch.ones(2, 2), [[1, 1], (1.0, 1.0)]),
    ((torch.ones(2), torch.ones(3)), [np.ones(2), torch.ones(3)]),
    (math.nan, math.nan),
    (math.inf, math.inf),
    (["a", None], ("a", None)),
    ({"a": 1}, {"a": 1.0}),
    ([], torch.zeros(0)),
    ({"a", "b"}, frozenset("ab")),
    ({"a"}, ["a"]),
]
NOT_ALIKE = [
    (3, None),
    (None, 0),
    (3, "3"),
    ("a", ["a"]),
    ([1, 2], [1, 2, 2]),
    (torch.ones(2, 1), torch.ones(1, 2)),
    (torch.ones(2), torch.ones(2, 2)),
    (1.0, 1.001),
    (1.0, math.nan),
    (1.0, 1 + 1j),
    ({"a": 1}, {"a": 1, "b": 2}),
    (["a"], ["a", "a"]),
    (math.inf, 10**400),
    ({"a"}, {"a", "b"}),
    ({"a"}, 3),
    ({"a"}, [["a"]]),
]


@pytest.mark.parametrize(("expected", "found"), ALIKE)
def test_the_same_numbers_in_another_dress_are_alike(expected: Any, found: Any) -> None:
    assert values.alike(expected, found)


@pytest.mark.parametrize(("expected", "found"), NOT_ALIKE)
def test_other_values_are_not_alike(expected: Any, found: Any) -> None:
    assert not values.alike(expected, found)


# ---- the judge parts of the chapters -------------------------------------------------------------


def answers_of(namespace: dict[str, Any], name: str, cases: Cases) -> list[dict[str, Any]]:
    """Return what a function gives for the inputs, as the sandbox would send it."""
    coded = []
    for arguments in cases:
        try:
            fresh = values.decode(values.encode(arguments), namespace)
            coded.append({"value": values.encode(namespace[name](*fresh))})
        except Exception as error:
            coded.append({"error": str(error)})
    return coded


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_solved_answers_pass_their_judge_part(chapter: str) -> None:
    check_part(read_edition(ROOT / "course", ROOT / "solutions", chapter))


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_each_function_of_a_judge_part_belongs_to_an_exercise(chapter: str) -> None:
    judge = reference(chapter)
    functions = {n for n, f in vars(judge.part).items() if hasattr(f, "__code__") and n[0] != "_"}
    assert {n.removeprefix("check_") for n in functions} == set(judge.exercises)


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_inputs_hang_on_the_submission_and_on_nothing_else(chapter: str) -> None:
    judge = reference(chapter)
    one, again, other = (json.dumps(judge.coded(judge.draw(sha))) for sha in ("a", "a", "b"))
    assert one == again
    first, second = json.loads(one), json.loads(other)
    assert [name for name in first if first[name] == second[name]] == ASK_NOTHING.get(chapter, [])


# What a figure says needs no inputs; the right answer still never enters the sandbox.
ASK_NOTHING = {
    "01_background": ["read_race"],
    "02_concepts": ["read_runs"],
    "04_code": ["read_rates"],
    "05_applications": ["read_speech"],
    "06_tools": ["read_ranking"],
    "07_challenges": ["read_scaling"],
    "08_faq": ["read_losses"],
}


class Parrot:
    """Knows what the right answer gave in the visible check, and repeats it."""

    def __init__(self, right: Any) -> None:
        self.right, self.known, self.last = right, {}, None

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        key = json.dumps(values.encode([arguments, named]))
        if self.right:
            self.known[key] = self.last = self.right(*arguments, **named)
        return self.known.get(key, self.last)


CASES = [(chapter, name) for chapter in CHAPTERS for name in reference(chapter).exercises]
WITH_INPUTS = [
    (chapter, name) for chapter, name in CASES if name not in ASK_NOTHING.get(chapter, [])
]


@pytest.mark.parametrize(("chapter", "name"), WITH_INPUTS)
def test_answers_learnt_by_heart_from_the_visible_check_fail(chapter: str, name: str) -> None:
    judge = reference(chapter)
    parrot = Parrot(judge.solved[name])
    namespace = judge.solved | {name: parrot}
    for cell in judge.edition.solved:
        if about(cell).get("grade") and judge.edition.exercise_of(about(cell)["grade_id"]) == name:
            exec(source_of(cell), namespace)
    parrot.right = None
    cases = judge.draw("parrot")[name]
    assert parrot.known
    assert judge.fault(name, cases, answers_of(namespace, name, cases))


# Wrong in what a value cannot show, or for inputs that only the visible check has. Their checks
# reject them (tests/notebooks/test_exercises.py).
NOT_BY_VALUE = {
    "all_features_always_back_to_training",  # what it leaves behind: mode, memory, a graph
    "all_features_at_once",
    "all_features_keep_the_graph",
    "all_features_leave_evaluation_mode",
    "moving_the_given_network",
    "adam_step_in_place",  # each call gets inputs of its own
    "same_photo_in_place",
    "split_by_speaker_always_the_same",  # any split by speaker will do
    "split_by_speaker_without_the_seed",
    "private_mean_empty_without_noise",  # by value it is called without noise
    "private_mean_noise_after_division",
    "private_mean_noise_for_each_sample",
    "private_mean_noise_is_known",
    "private_mean_noise_without_clip",
    "private_mean_one_number",
}


@pytest.mark.parametrize(("chapter", "name"), CASES)
def test_known_wrong_answers_fail_by_value_too(chapter: str, name: str) -> None:
    judge, passed = reference(chapter), []
    for path in (WRONG / chapter).glob(f"{name}_*.py"):
        namespace = dict(judge.solved)
        exec(path.read_text(), namespace)
        drawn = [judge.draw(f"{path.stem} {n}")[name] for n in range(3)]  # one may be lucky
        if not any(judge.fault(name, cases, answers_of(namespace, name, cases)) for cases in drawn):
            passed.append(path.stem)
    assert sorted(set(passed) - NOT_BY_VALUE) == []


# ---- together with the sandbox -------------------------------------------------------------------

PART = """
def double(random):
    for n in random.integers(10, 99, size=5):
        yield (int(n),)

def halve(random):
    for n in random.normal(size=5):
        yield (Here(f"{float(n)!r} * len('x')"),)

def check_halve(found, n):
    assert found + found == n, f"twice {found} is not {n}."
"""
PART = f"from transferlab.kit.classroom.values import Here\n{PART}"
BY_HEART = "def double(n):\n    return {2: 4, 7: 14}.get(n)"
EQUAL = """
class All(float):
    def __eq__(self, other): return True
    def __add__(self, other): return self
def halve(n):
    return All(n)
"""
ENDS = "import os\ndef double(n):\n    return 2 * n if n < 10 else os._exit(0)"
FORGES = """
import os, json
def double(n):
    if n < 10:
        return 2 * n
    for socket in range(3, 50):
        try:
            os.write(socket, b'{"answer": {"value": 4}}\\n')
        except OSError:
            pass
"""


def judged(edition: Edition, solved: dict[str, Any], **answers: str) -> dict[str, list[str]]:
    for cell in solved["cells"]:
        name = cell["metadata"].get("nbgrader", {}).get("grade_id")
        cell["source"] = answers.get(name, cell["source"])
    marking = mark_submission(
        json.dumps(solved).encode(), Reference(edition), working_sandbox(), Limits(60, 10)
    )
    assert marking.status == "graded"
    return {check.name: [check.status, check.message] for check in marking.checks}


def test_right_answers_pass_and_those_by_heart_do_not(
    edition: Edition, solved: dict[str, Any]
) -> None:
    with_part = Edition(edition.chapter, edition.released, edition.solved, PART)
    check_part(with_part)
    found = judged(with_part, solved, double=BY_HEART)
    assert found["halve_check"] == found["Pile_check"] == ["passed", ""]
    status, message = found["double_check"]
    assert status == "failed"
    assert message.startswith("Called with other inputs, as double(")
    assert message.endswith(", found None.")


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({"double": ENDS}, "The process ended early (code 0)."),
        ({"double": FORGES}, "expected"),
        ({"halve": EQUAL}, "what came back is no value: a value of the type All"),
    ],
    ids=["ends", "forges", "equals everything"],
)
def test_nothing_but_the_right_value_passes(
    edition: Edition, solved: dict[str, Any], answers: dict[str, str], said: str
) -> None:
    with_part = Edition(edition.chapter, edition.released, edition.solved, PART)
    found = judged(with_part, solved, **answers)
    (name,) = answers
    status, message = found.pop(f"{name}_check")
    assert status == "failed"
    assert said in message
    assert {s for s, _ in found.values()} == {"passed", "waiting"}


def test_a_judge_part_that_its_own_answers_do_not_pass_is_an_error(edition: Edition) -> None:
    part = "def double(random):\n    yield (1,)\ndef check_double(found, n):\n    assert found == 3"
    with pytest.raises(InputError, match=r"01_a/judge\.py, double: Called with other inputs"):
        check_part(Edition(edition.chapter, edition.released, edition.solved, part))
    with pytest.raises(InputError, match="it draws no inputs"):
        part = "def double(random):\n    yield from ()"
        check_part(Edition(edition.chapter, edition.released, edition.solved, part))


BROKEN_PARTS = {
    "other values": (
        "def double(random):\n    yield (1,)\ndef check_double(found, n):\n    assert found == 3",
        "01_a/judge.py, double: Called with other inputs, as double(1): ",
    ),
    "no Python": ("def double(random) yield", "01_a/judge.py cannot be used: SyntaxError: "),
    "stops": ("def double(random):\n    yield (1 / 0,)", "ZeroDivisionError: division by zero"),
    "too many arguments": ("def double(random):\n    yield 1, 2", "TypeError: double() takes 1 "),
}


@pytest.mark.parametrize("name", BROKEN_PARTS)
def test_making_exercises_says_that_a_judge_part_is_broken(
    house: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, name: str
) -> None:
    part, said = BROKEN_PARTS[name]
    (house / "solutions/01_a" / JUDGE).write_text(part)
    monkeypatch.setattr("sys.argv", ["transferlab", "exercises"])
    with pytest.raises(SystemExit) as ended:
        cli.app()
    output, errors = capsys.readouterr()
    assert (ended.value.code, output) == (2, "course/01_a/exercises.ipynb\n")
    assert said in errors and errors.count("\n") == 1


def test_a_flag_withholds_only_what_could_be_forged(
    edition: Edition, solved: dict[str, Any]
) -> None:
    """A value is right or not, whatever the code that made it has looked at."""
    for cell in solved["cells"]:
        if cell["metadata"].get("nbgrader", {}).get("grade_id") in ("double", "Pile"):
            cell["source"] = "import gc\n" + cell["source"]
    with_part = Edition(edition.chapter, edition.released, edition.solved, PART)
    marking = mark_submission(
        json.dumps(solved).encode(), Reference(with_part), working_sandbox(), Limits(60, 10)
    )
    assert marking.points == 9
    assert {flag.partition(":")[0] for flag in marking.flags} == {"Pile"}
    assert {note.partition(":")[0] for note in marking.notes} == {"double"}
