"""What the tests of the classroom share: a toy chapter, an empty class, the command."""

import copy
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from toy_class import ANSWERS, CHAPTER, STUDENTS, named, write_house

from transferlab.kit import cli
from transferlab.kit.classroom.edition import Edition, read_edition
from transferlab.kit.classroom.records import Records


@pytest.fixture(scope="session")
def toy_house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("house")
    write_house(root)
    return root


@pytest.fixture(scope="session")
def edition(toy_house: Path) -> Edition:
    return read_edition(toy_house / "course", toy_house / "solutions", CHAPTER)


@pytest.fixture
def released(toy_house: Path) -> dict[str, Any]:
    """The student edition as a student gets it."""
    return json.loads((toy_house / "course" / CHAPTER / "exercises.ipynb").read_text())


@pytest.fixture
def solved(released: dict[str, Any]) -> dict[str, Any]:
    """A submission with every answer right; the written one says something."""
    notebook = copy.deepcopy(released)
    for name, source in {**ANSWERS, "why": "Because labels are few."}.items():
        named(notebook, name)["source"] = source
    return notebook


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    """The record of a class of three."""
    folder = tmp_path / "class"
    folder.mkdir()
    with Records(folder, may_create=True) as opened:
        opened.add_students(STUDENTS)
        yield opened


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> Callable[..., tuple[int, str, str]]:
    """Return a function that runs `transferlab class …` and gives exit code, output and errors."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["transferlab", "class", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.app()
        return int(ended.value.code or 0), *capsys.readouterr()

    return run
