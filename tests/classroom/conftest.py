"""What the tests of the classroom share: a toy chapter, an empty class, the command."""

import copy
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from toy_class import (
    ANSWERS,
    CHAPTER,
    STUDENTS,
    Here,
    Limits,
    content,
    named,
    write_house,
)

from transferlab.kit import cli
from transferlab.kit.classroom.collect import collect
from transferlab.kit.classroom.edition import Edition, read_edition
from transferlab.kit.classroom.marking import mark_class
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
def marked(records: Records, edition: Edition, tmp_path: Path) -> Callable[..., Records]:
    """Return a function that hands in and marks: `marked(s1=notebook)`; a path names it too."""

    def hand_in(files: dict[str, Any] | None = None, **by_id: Any) -> Records:
        folder = tmp_path / f"in{len(list(tmp_path.glob('in*')))}"
        for name, notebook in {**(files or {}), **by_id}.items():
            path = folder / (name if name.endswith(".ipynb") else f"{name}/exercises.ipynb")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(notebook if isinstance(notebook, bytes) else content(notebook))
        collect(records, CHAPTER, folder, edition.grade_ids)
        mark_class(records, edition, Here(), Limits())
        return records

    return hand_in


@pytest.fixture
def house(toy_house: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A house of its own with a roster, in the current folder; marking needs no sandbox."""
    for name in ("course", "solutions"):
        shutil.copytree(toy_house / name, tmp_path / name)
    (tmp_path / "roster.csv").write_text('id,name\ns1,"Ünal, Mara"\ns2,[red]Bo\ns3,<b>Ada\ns4,Cy')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("transferlab.kit.classroom.sandbox.find_sandbox", lambda unsafe: Here())
    monkeypatch.setattr("transferlab.kit.classroom.sandbox.Limits", Limits)
    return tmp_path


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
