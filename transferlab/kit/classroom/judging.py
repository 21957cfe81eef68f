"""Judging by value: the answer's function is called with inputs that nobody has seen before.

A chapter's judge part is `solutions/CHAPTER/judge.py`. For each exercise that it judges, it has a
function of the same name that draws inputs:

    def steps_to_reach(random):      # a numpy generator
        for _ in range(10):
            yield random.exponential(size=20).tolist(), random.uniform(0, 2)

The inputs are drawn after the answer is fixed, from its hash. The sandbox gets them, calls the
student's function, and sends values back. They are compared here with what the solved answer gives,
which never enters the sandbox. Where more than one value is right, a second function asserts what
must hold, `check_steps_to_reach(found, *inputs)`, and its sentences are for the student.
"""

import contextlib
import io
import threading
import types
from functools import cached_property
from typing import Any

import numpy as np

from transferlab.errors import InputError
from transferlab.files import hash_text
from transferlab.kit.classroom import values
from transferlab.kit.classroom.edition import Edition, about
from transferlab.kit.classroom.rebuild import MARKED_WITH
from transferlab.kit.classroom.sources import plain
from transferlab.kit.notebooks import has_tag, source_of

Cases = list[tuple[Any, ...]]  # the arguments of each call


class Reference:
    """The solved edition of a chapter, ready to be called."""

    def __init__(self, edition: Edition) -> None:
        self.edition = edition
        self.lock = threading.Lock()  # solved answers may use torch's one global generator

    @cached_property
    def part(self) -> types.ModuleType:
        """The chapter's judge part; empty when it has none."""
        module = types.ModuleType(f"judge part of {self.edition.chapter}")
        exec(compile(self.edition.judge, module.__name__, "exec"), vars(module))
        return module

    @cached_property
    def solved(self) -> dict[str, Any]:
        """What the solved notebook defines, down to its last answer, without the checks."""
        namespace: dict[str, Any] = {"__name__": "__main__"}
        code = [cell for cell in self.edition.solved if cell["cell_type"] == "code"]
        last = max(n for n, cell in enumerate(code) if about(cell).get("solution"))
        with contextlib.redirect_stdout(io.StringIO()):
            for cell in code[: last + 1]:
                if not about(cell).get("grade"):
                    source = source_of(cell) + MARKED_WITH * has_tag(cell, "parameters")
                    exec(compile(source, self.edition.chapter, "exec"), namespace)
        return namespace

    @cached_property
    def exercises(self) -> list[str]:
        """The names of the exercises that are judged by value."""
        answers = [about(c)["grade_id"] for c in self.edition.solved if about(c).get("solution")]
        return [name for name in answers if name in self.edition.by_value]

    def draw(self, sha: str) -> dict[str, Cases]:
        """Return the inputs for each exercise, drawn from the hash of what was handed in."""
        found = {}
        for name in self.exercises:
            seed = int(hash_text(f"{self.edition.source_hash} {sha} {name}")[:16], 16)
            found[name] = list(getattr(self.part, name)(np.random.default_rng(seed)))
        return found

    def coded(self, drawn: dict[str, Cases]) -> dict[str, list[Any]]:
        """Return the inputs as the sandbox takes them."""
        return {name: [values.encode(inputs) for inputs in cases] for name, cases in drawn.items()}

    def fresh(self, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return the inputs anew, as the sandbox gets them: an answer may change its inputs."""
        return values.decode(values.encode(arguments), self.solved)

    def fault(self, name: str, cases: Cases, coded: list[Any]) -> str:
        """Return what is wrong with the values that came back; an empty text when nothing is.

        coded: for each case {"value": …} or {"error": sentence}, as the sandbox has sent it
        """
        for arguments, answer in zip(cases, coded, strict=False):
            if sentence := self._fault(name, arguments, answer):
                given = ", ".join(values.shown(part, 60) for part in arguments)
                return f"Called with other inputs, as {name}({given}): {sentence}"
        if len(coded) != len(cases):
            return f"{name} was called {len(cases)} times and answered {len(coded)} times."
        return ""

    def _fault(self, name: str, arguments: tuple[Any, ...], answer: Any) -> str:
        if not isinstance(answer, dict) or "value" not in answer:
            said = answer.get("error") if isinstance(answer, dict) else answer
            return plain(str(said), 300)
        try:
            found = values.decode(answer["value"])
        except ValueError as error:
            return f"what came back is no value: {plain(str(error), 100)}."
        return self._wrong(name, arguments, found)

    def _wrong(self, name: str, arguments: tuple[Any, ...], found: Any) -> str:
        with self.lock:
            fresh = self.fresh(arguments)
            holds = getattr(self.part, f"check_{name}", None)
            if holds is None:
                expected = self.solved[name](*fresh)
                if values.alike(expected, found):
                    return ""
                return f"expected {values.shown(expected)}, found {values.shown(found)}."
        try:
            holds(found, *fresh)
        except AssertionError as error:
            return str(error) or f"{values.shown(found)} is not right."
        except Exception as error:  # of any kind: `found` may be anything
            return f"found {values.shown(found)}, which is not what was asked for ({error})."
        return ""


def check_part(edition: Edition) -> None:
    """Raise when the solved edition does not pass its own judge part."""
    reference = Reference(edition)
    try:
        for name, cases in reference.draw("").items():
            found = [reference.solved[name](*reference.fresh(arguments)) for arguments in cases]
            coded = [{"value": values.encode(value)} for value in found]
            if not cases or (fault := reference.fault(name, cases, coded)):
                said = fault if cases else "it draws no inputs."
                raise InputError(f"{edition.chapter}/judge.py, {name}: {said}")
    except InputError:
        raise
    except Exception as error:  # of any kind: the part is a teacher's code
        said = f"{type(error).__name__}: {error}"
        raise InputError(f"{edition.chapter}/judge.py cannot be used: {said}") from error
