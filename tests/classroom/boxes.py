"""What the tests of the sandbox share: the one that works here, tasks for it, and the marks."""

import functools
import json

import pytest

from transferlab.errors import InputError
from transferlab.kit.classroom.sandbox import Ended, Limits, Sandbox, find_sandbox

RIGHT = ["passed", ""]
Exercises = dict[str, tuple[str, str]]  # name -> source of the answer, and of the check


@functools.cache
def _found() -> Sandbox | str:
    try:
        return find_sandbox()
    except InputError as error:
        return str(error)


def working_sandbox() -> Sandbox:
    """Return the sandbox that works on this machine; skip the tests when none does."""
    found = _found()
    if isinstance(found, str):
        pytest.skip(found)
    return found


def run(sandbox: Sandbox, exercises: Exercises, limits: Limits, first: str = "") -> Ended:
    """Run exercises, after a first cell that was handed out."""
    cells = [{"id": None, "kind": "code", "source": first, "points": 0}]
    for name, (answer, check) in exercises.items():
        cells.append({"id": f"{name} answer", "kind": "answer", "source": answer, "points": 0})
        cells.append({"id": name, "kind": "check", "source": check, "points": 1})
    return sandbox.run(json.dumps({"cells": cells}).encode(), limits)


def marks(ended: Ended) -> dict[str, list[str]]:
    """Return status and message of each check."""
    assert ended.status == "ended", ended
    checks = json.loads(ended.result)["checks"]
    return {name: [check["status"], check["message"]] for name, check in checks.items()}
