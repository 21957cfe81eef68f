"""Honest but clumsy submissions are marked as they deserve, and the teacher is told."""

import copy
import json
import time
from collections.abc import Callable

import pytest
from nbformat import v4
from toy_class import ANSWERS, Answering, Ended, Here, Limits, content, named

from transferlab.errors import InputError
from transferlab.kit.classroom.judging import Reference
from transferlab.kit.classroom.marking import mark_submission
from transferlab.kit.classroom.rebuild import rebuild
from transferlab.kit.notebooks import source_of

ALL = 9.0


def marked(notebook, edition, **limits):
    raw = notebook if isinstance(notebook, bytes) else content(notebook)
    return mark_submission(raw, Reference(edition), Here(), Limits(**limits))


def drop(notebook, name):
    notebook["cells"].remove(named(notebook, name))


def double_the_answer(notebook):
    again = copy.deepcopy(named(notebook, "double"))
    named(notebook, "double")["source"] = "def double(n):\n    return n  # my first try"
    notebook["cells"].append(again)


def double_untouched(notebook):
    stub = copy.deepcopy(named(notebook, "double"))
    stub["source"] = "def double(n):\n    # YOUR CODE HERE\n    raise NotImplementedError()"
    notebook["cells"].append(stub)


def split_the_answer(notebook):
    first = named(notebook, "double")
    second = copy.deepcopy(first)
    first["source"], second["source"] = "def double(n):\n    twice = 2 * n", "    return twice"
    second["id"] = "another"
    notebook["cells"].insert(notebook["cells"].index(first) + 1, second)


def helper_in_the_same_name(notebook):
    first = named(notebook, "double")
    second = copy.deepcopy(first)
    first["source"], second["source"] = (
        "import operator",
        ("def double(n):\n    return operator.mul(2, n)"),
    )
    notebook["cells"].insert(notebook["cells"].index(first) + 1, second)


def rename(notebook):
    named(notebook, "double")["metadata"]["nbgrader"]["grade_id"] = "my_double"


def strip(notebook):
    for cell in notebook["cells"]:
        cell["metadata"] = {}


def strip_metadata_and_ids(notebook):
    strip(notebook)
    for cell in notebook["cells"]:
        cell.pop("id", None)


def paste_into_a_new_cell(notebook):
    drop(notebook, "double")
    notebook["cells"].append(v4.new_code_cell(ANSWERS["double"]))


def retype(notebook):
    named(notebook, "double")["cell_type"] = "raw"


def lose_outputs(notebook):
    for cell in notebook["cells"]:
        cell.pop("outputs", None)
        cell.pop("execution_count", None)


def empty_a_check(notebook):
    named(notebook, "halve_check")["source"] = ""


def alter_points(notebook):
    named(notebook, "halve_check")["metadata"]["nbgrader"]["points"] = "400"


def another_kernel(notebook):
    notebook["metadata"]["kernelspec"] = {"name": "julia", "display_name": "J", "language": "j"}


def old_schema(notebook):
    for cell in notebook["cells"]:
        if "nbgrader" in cell["metadata"]:
            cell["metadata"]["nbgrader"]["schema_version"] = 1


def minor(notebook):
    notebook["nbformat_minor"] = 2


def damaged_cell(notebook):
    notebook["cells"].insert(1, {"cell_type": "code", "source": 3})


def source_in_lines(notebook):
    for cell in notebook["cells"]:
        cell["source"] = "".join(cell["source"]).splitlines(keepends=True)


def reverse(notebook):
    notebook["cells"].reverse()


CLUMSY: list[tuple[Callable, str]] = [
    (lambda notebook: drop(notebook, "double_check"), "double_check: the cell was deleted"),
    (double_the_answer, "double: 2 cells have this name"),
    (double_untouched, "double: 2 cells have this name"),
    (split_the_answer, "double: 2 cells have this name"),
    (helper_in_the_same_name, "double: 2 cells have this name"),
    (rename, "double: its cell has lost its name"),
    (strip, "double: its cell has lost its name"),
    (strip_metadata_and_ids, "double: its cell is missing; the answer was found"),
    (strip_metadata_and_ids, "why: its cell has lost its name; it was found below its question"),
    (paste_into_a_new_cell, "double: its cell is missing; the answer was found"),
    (retype, "double: the cell is of the type 'raw'"),
    (lose_outputs, ""),
    (empty_a_check, "halve_check: the cell was changed"),
    (alter_points, "halve_check: its settings were changed (points)"),
    (another_kernel, "kernel 'julia'"),
    (old_schema, "double: its settings were changed (schema_version)"),
    (minor, ""),
    (damaged_cell, "1 damaged cells"),
    (source_in_lines, ""),
    (reverse, ""),
]


@pytest.mark.parametrize(
    ("spoil", "note"), CLUMSY, ids=[f"{spoil.__name__}: {note[:6]}" for spoil, note in CLUMSY]
)
def test_all_points_and_a_note(spoil, note, solved, edition):
    spoil(solved)
    found = marked(solved, edition)
    assert (found.status, found.points) == ("graded", ALL), found
    assert [n for n in found.notes if note in n] if note else not found.notes


def test_a_perfect_submission_needs_no_note(solved, edition):
    found = marked(solved, edition)
    assert found.points == ALL and found.notes == ()
    assert [(c.name, c.status) for c in found.checks][-1] == ("why", "waiting")


def test_what_was_released_gets_nothing_and_says_so(released, edition):
    found = marked(released, edition)
    assert (found.status, found.points, found.notes) == ("graded", 0.0, ())
    assert {check.status for check in found.checks} == {"not answered"}
    assert found.checks[0].message == "The exercise was not answered."


def test_a_deleted_answer_costs_its_own_points_only(solved, edition):
    drop(solved, "halve")
    found = marked(solved, edition)
    assert found.points == ALL - 3
    assert "halve: its cell is missing, and so is the answer." in found.notes


def test_the_message_names_the_misconception(solved, edition):
    named(solved, "halve")["source"] = "def halve(n):\n    return n // 2"
    (bad,) = [check for check in marked(solved, edition).checks if check.status == "failed"]
    assert (bad.exercise, bad.points) == ("halve", 0.0)
    assert bad.message == "A half of 3 is 1.5; // forgets the rest."


def test_hidden_tests_count(solved, edition):
    named(solved, "double")["source"] = "def double(n):\n    return 4"
    found = marked(solved, edition)
    assert found.points == ALL - 2
    assert found.checks[0].message == "You have learnt the case by heart."


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("    import warnings; warnings.warn('odd'); print('a bar', flush=True); return n / 2", ""),
        ("    while True: pass", "timed out"),
        ("    import os; os._exit(3)", "crashed"),
        ("    import sys; sys.exit()", "failed"),
        ("    return 1 / 0", "failed"),
    ],
)
def test_one_exercise_costs_the_others_nothing(body, status, solved, edition):
    named(solved, "halve")["source"] = f"def halve(n):\n{body}"
    found = marked(solved, edition)
    assert found.status == "graded"
    assert found.points == (ALL - 3 if status else ALL)
    assert [check.status for check in found.checks][1] == (status or "passed")


def test_a_syntax_error_costs_one_exercise(solved, edition):
    named(solved, "halve")["source"] = "def halve(n:\n    return n"
    assert marked(solved, edition).points == ALL - 3


def test_a_helper_in_a_cell_of_its_own_is_pointed_out(solved, edition):
    solved["cells"].insert(1, v4.new_code_cell("def twice(n):\n    return 2 * n"))
    named(solved, "double")["source"] = "def double(n):\n    return twice(n)"
    found = marked(solved, edition)
    assert found.points == ALL - 2
    assert any(flag.endswith("the student's own defines: twice") for flag in found.flags)


def test_tags_and_scripts_are_not_taken_over(solved, edition):
    named(solved, "double_check")["metadata"]["tags"] = ["skip-execution"]
    named(solved, "why")["source"] = "Because. <script>alert(1)</script>"
    rebuilt = rebuild(content(solved), edition)
    assert not [c for c in rebuilt.cells if c["metadata"].get("tags")]
    assert any("skip-execution" in note for note in rebuilt.notes)
    assert any("script" in note for note in rebuilt.notes)


def test_only_the_answers_are_taken_over(solved, edition):
    solved["cells"].append(v4.new_code_cell("double = halve = None"))
    solved["cells"][1]["source"] = "import no_such_package"
    named(solved, "double_check")["outputs"] = [v4.new_output("stream", text="100 points")]
    ours = [c["id"] for c in edition.released]
    rebuilt = rebuild(content(solved), edition)
    assert [c["id"] for c in rebuilt.cells] == ours
    assert source_of(rebuilt.cells[1]) == "import math"
    assert not [c for c in rebuilt.cells if c.get("outputs")]
    assert any("own, or changed, are left out: 2." in note for note in rebuilt.notes)


# ---- files that are no notebooks, and worse ------------------------------------------------------


UNREADABLE = {
    b"": "no valid JSON",
    b"{": "was the file cut off?",
    b"\xff\xfe\x00": "no valid JSON",
    b"[]": "no list of cells",
    b'{"cells": {}}': "no list of cells",
    b'{"worksheets": [], "nbformat": 3}': "no list of cells",
    b"[" * 100_000 + b"]" * 100_000: "nested too deeply",
    b'{"a":' * 100_000: "nested too deeply",
    b"[" * 600_000: "more than 500,000",
    b" " * (21 << 20): "at most",
    b'{"cells": [], "n": ' + b"1" * 10_000 + b"}": "no valid JSON",
}


@pytest.mark.parametrize("raw", UNREADABLE, ids=range(len(UNREADABLE)))
def test_what_cannot_be_read_says_why_and_aborts_nothing(raw, edition):
    with pytest.raises(InputError):
        rebuild(raw, edition)
    found = marked(raw, edition)
    assert found.status == "unreadable" and UNREADABLE[raw] in found.reason
    assert found.checks == (), "not 0 points: no points"


def test_twenty_thousand_cells_of_one_name_hold_nobody_up(solved, edition):
    again = [copy.deepcopy(named(solved, "double")) for _ in range(20_000)]
    for number, cell in enumerate(again):
        cell["source"] = f"def double(n):\n    return {number}"
    solved["cells"] += again
    started = time.process_time()
    rebuilt = rebuild(content(solved), edition)
    assert time.process_time() - started < 5
    assert source_of(named({"cells": rebuilt.cells}, "double")).endswith("return 19999")


@pytest.mark.parametrize("odd", [None, 3, "x", [], [[]], {"a": []}, True, "\ud800\x1b[31m"])
def test_any_value_in_any_place_is_survived(odd, solved, edition):
    for place in ("id", "cell_type", "metadata", "source", "outputs", "attachments"):
        notebook = copy.deepcopy(solved)
        for cell in notebook["cells"]:
            cell[place] = odd
        rebuild(content(notebook), edition)
    for place in ("grade_id", "points", "schema_version", "solution", "locked"):
        notebook = copy.deepcopy(solved)
        for cell in notebook["cells"]:
            cell["metadata"] = {"nbgrader": {place: odd}, "tags": odd}
        notebook["metadata"] = notebook["nbformat"] = odd
        rebuilt = rebuild(content(notebook), edition)
        assert not [note for note in rebuilt.notes if "\x1b" in note or "\ud800" in note]


# ---- how a run ended ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ended", "status"),
    [("timed out", "timed out"), ("out of memory", "crashed"), ("too much output", "crashed")],
)
def test_how_it_ended_is_told(ended, status, solved, edition):
    sandbox = Answering(Ended(ended, None, b"", "a\nlast \x1b[31mwords"))
    found = mark_submission(content(solved), Reference(edition), sandbox, None)
    assert found.status == status and "\x1b" not in found.reason
    assert ended in found.reason or ended == "timed out"
    assert [check.status for check in found.checks] == ["not reached"] * 3 + ["waiting"]


def test_what_is_suspicious_is_flagged_for_a_person(solved, edition):
    said = json.dumps({"checks": {}, "values": {}, "flags": ["double: uses `sys`\x1b"]}).encode()
    found = mark_submission(
        content(solved), Reference(edition), Answering(Ended("ended", 0, said)), None
    )
    assert found.flags == ("double: uses `sys`\ufffd",)
