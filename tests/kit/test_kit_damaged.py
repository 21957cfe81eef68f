"""A notebook that cannot be read or run fails alone, with one sentence; the others run."""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from toy_course import PARAMETERS, write_lesson

from transferlab.errors import InputError
from transferlab.kit import run
from transferlab.kit.lessons import find_lessons, read_lesson
from transferlab.kit.results import Result


def cell(source: Any, kind: str = "code", tags: Any = (), **more: Any) -> dict[str, Any]:
    metadata = {"tags": list(tags) if isinstance(tags, tuple) else tags}
    code = {"outputs": [], "execution_count": None} if kind == "code" else {}
    return {"cell_type": kind, "metadata": metadata, "source": source, **code, **more}


def book(*cells: Any, parameters: Any = PARAMETERS, **more: Any) -> str:
    """Return the text of a notebook with a cell of parameters and these cells."""
    first = cell(parameters, tags=("parameters",))
    content = {"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": [first, *cells]}
    return json.dumps(content | more)


def about(**said: Any) -> str:
    return book(metadata={"transferlab": said})


NO_JSON = "is not a notebook: it holds no valid JSON"
NO_CELLS = "is not a notebook: it has no list of cells"
DAMAGED = "is not a notebook: cell 2 is damaged; expected a cell_type"
NO_PYTHON = "the cell tagged `parameters` is not plain Python"
NO_PROFILE = "has no parameter 'profile'; it has"
BAD: dict[str, tuple[str | bytes | Callable[[Path], object], str]] = {
    "empty": ("", NO_JSON),
    "cut short": (book()[:-9], NO_JSON),
    "text": ("# Why pre-train?", NO_JSON),
    "page": ("<!doctype html><p>404", NO_JSON),
    "utf-16": (book().encode("utf-16"), NO_JSON),
    "bytes": (b"\xff\xfe\x00\x80", NO_JSON),
    "deep": ("[" * 100_000, NO_JSON),
    "list": ("[]", NO_CELLS),
    "number": ("3", NO_CELLS),
    "null": ("null", NO_CELLS),
    "no cells": ('{"nbformat": 4, "metadata": {}}', NO_CELLS),
    "cells are a number": ('{"nbformat": 4, "cells": 3}', NO_CELLS),
    "format 3": ('{"nbformat": 3, "worksheets": [{"cells": []}]}', NO_CELLS),
    "format 5": (book(nbformat=5), "of format 4: its nbformat is 5; save it in JupyterLab"),
    "format missing": (book(nbformat=None), "of format 4: its nbformat is None"),
    "metadata are a list": (book(metadata=[]), "its metadata are not a table of names"),
    "cell is text": (book("x = 1"), DAMAGED),
    "cell without source": (book({"cell_type": "code", "metadata": {}, "outputs": []}), DAMAGED),
    "cell without metadata": (book({"cell_type": "markdown", "source": ""}), DAMAGED),
    "cell without outputs": (book(cell("x = 1") | {"outputs": None}), DAMAGED),
    "cell of unknown kind": (book(cell("x", "heading")), DAMAGED),
    "source is a number": (book(cell(3)), DAMAGED),
    "source is a list of numbers": (book(cell([3])), DAMAGED),
    "tags are a text": (book(cell("x", tags="parameters")), DAMAGED),
    "tags are null": (book(cell("x", tags=None)), DAMAGED),
    "question is a list": (about(question=["Why?"]), "expected a question, a text"),
    "about is a text": (
        book(metadata={"transferlab": "12 minutes"}),
        "expected a question, a text",
    ),
    "magic": (book(parameters=f"%matplotlib inline\n{PARAMETERS}"), NO_PYTHON),
    "syntax": (book(parameters='profile = "class'), NO_PYTHON),
    "null byte": (book(parameters=f"{PARAMETERS}\0"), NO_PYTHON),
    "brackets": (book(parameters="x = " + "(" * 5000), NO_PYTHON),
    "parameters in text": (book(parameters="Choose a profile, please."), NO_PYTHON),
    "no parameters": (book(parameters=""), f"{NO_PROFILE} none (no cell is tagged"),
    "attribute": (
        book(parameters='run.profile = "class"\ndevice = "auto"'),
        f"{NO_PROFILE} device",
    ),
    "folder": (lambda path: path.mkdir(), "is not a notebook: it is no file"),
    "link to nowhere": (lambda path: path.symlink_to("gone.ipynb"), "cannot be read: No such file"),
    "pipe": (os.mkfifo if hasattr(os, "mkfifo") else Path.mkdir, "it is no file"),
    "cell number 3 fails": (book(cell("1 / 0")), "ZeroDivisionError: division by zero"),
    "outputs are numbers": (book(cell("x = 1", outputs=[3])), "the notebook cannot be run: "),
}
if os.name == "posix" and os.getuid() != 0:  # root may read everything
    secret = (lambda path: (path.write_text(book()), path.chmod(0)), "Permission denied")
    BAD["no permission"] = secret
GOOD = {
    "annotated": book(parameters='profile: str = "class"\ndevice: str = "auto"\nseed: int = 0'),
    "tuple": book(parameters='profile, device = "class", "auto"'),
}


def file_name(number: int, name: str) -> str:
    """Return a name that find_lessons finds, such as "01_a_folder"."""
    return f"0{number % 9 + 1}_{re.sub('[^a-z0-9]', '_', name)}"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Result]]:
    """Run all of them at once; return the folder and the result of each."""
    folder = tmp_path_factory.mktemp("damaged")
    (chapter := folder / "course" / "01_a").mkdir(parents=True)
    contents = {name: content for name, (content, _) in BAD.items()} | GOOD
    for number, (name, content) in enumerate(contents.items()):
        path = chapter / f"{file_name(number, name)}.ipynb"
        if callable(content):
            content(path)
        else:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
    lessons = find_lessons(folder / "course", keep_damaged=True)
    results = run.run_lessons(lessons, "smoke", "cpu", jobs=2, build=folder / "build")
    by_file = {result.lesson.path.stem: result for result in results}
    return folder, {name: by_file[file_name(number, name)] for number, name in enumerate(contents)}


@pytest.mark.parametrize("name", BAD)
def test_it_fails_alone_with_one_sentence(report: tuple, name: str) -> None:
    result = report[1][name]
    assert result.status == "failed"
    assert BAD[name][1] in result.error
    assert len(result.error.splitlines()) == 1
    assert len(result.error) < 700


@pytest.mark.parametrize("name", GOOD)
def test_the_others_run(report: tuple, name: str) -> None:
    assert report[1][name].status in ("ok", "slow"), report[1][name].error


def test_the_page_names_every_failure(report: tuple) -> None:
    page = (report[0] / "build/smoke/report.html").read_text(encoding="utf-8")
    assert f"{len(BAD)} failed" in page
    assert 'http-equiv="refresh"' not in page


def test_a_course_with_a_damaged_lesson_ends_in_an_exit_code(
    command: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = write_lesson(tmp_path / "course", "01_a/01_one")
    path.write_text("{")
    code, output, _ = command("run")
    assert code == 1
    assert "01_a/01_one failed: course/01_a/01_one.ipynb is not a notebook" in output
    for arguments in (["ledger"], ["release", "01_a", "--to", "b.zip"], ["lab"]):
        code, _, error = command(*arguments)
        assert code == 2
        assert "01_one.ipynb is not a notebook: it holds no valid JSON." in error
        assert len(error.splitlines()) == 1


def test_a_parameter_that_one_lesson_lacks_is_refused_before_the_run(
    command: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_lesson(tmp_path / "course", "01_a/01_one")
    (tmp_path / "course/01_a/02_two.ipynb").write_text("{")  # damaged: not asked
    code, _, error = command("run", "--set", "sed=1")
    assert code == 2
    assert "01_a/01_one has no parameter 'sed'; it has profile, device, seed." in error


def test_a_damaged_file_is_refused_where_it_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "01_x.ipynb").write_text("{")
    with pytest.raises(InputError, match=NO_JSON):
        read_lesson(tmp_path / "01_x.ipynb")
