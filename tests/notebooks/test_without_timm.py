"""Lesson 6.01 compares torchvision with timm; without timm it says so and goes on."""

import sys
from pathlib import Path
from typing import Any

import pytest

from transferlab.kit.notebooks import read_json, source_of

LESSON = Path(__file__).parents[2] / "course" / "06_tools" / "01_landscape.ipynb"


def test_the_lesson_runs_without_timm(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TRANSFERLAB_PROFILE", "smoke")
    monkeypatch.setitem(sys.modules, "timm", None)  # the import fails, installed or not
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for cell in read_json(LESSON)["cells"]:
        if cell["cell_type"] == "code":
            exec(compile(source_of(cell), f"<{cell['id']}>", "exec"), namespace)
    claims = namespace["claims"].claims
    assert claims
    assert not [claim.name for claim in claims if "timm" in claim.name]
    assert "skipped: timm is not installed" in capsys.readouterr().out
