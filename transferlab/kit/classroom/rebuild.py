"""Rebuilding: the released notebook with a student's answers in it, and nothing else of theirs.

No code of the student's runs. Checks, points, order and settings come from the source, so that what
happened to them in the submission costs nothing and gains nothing; it is noted for the teacher.
"""

import copy
import itertools
import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from transferlab.errors import InputError
from transferlab.kit.classroom.edition import Cell, Edition, about
from transferlab.kit.classroom.sources import LARGEST, plain
from transferlab.kit.notebooks import KERNEL, has_tag, source_of

MOST_BRACKETS = 500_000  # lists and tables; 20 MB of empty lists would need 1 GB of memory
Task = dict[str, Any]
OWN_CELL = "uses what a cell of the student's own defines"  # and that cell is left out
DEFINED = re.compile(r"^(?:def|class)\s+(\w+)", re.MULTILINE)
MARKED_WITH = '\nprofile, device = "smoke", "cpu"'  # checks need no more, on any machine
SCRIPT = (b"application/javascript", b"<script")


@dataclass(frozen=True)
class Rebuilt:
    """The rebuilt cells, the answers that are as released, and what the teacher should know.

    `notes` say what was changed and is as before, `flags` what a person should look at.
    """

    cells: list[Cell]
    untouched: frozenset[str]
    notes: tuple[str, ...]
    flags: tuple[str, ...]

    def task(self, edition: Edition, coded: Mapping[str, Any] = MappingProxyType({})) -> Task:
        """Return what the sandbox executes: the code down to the last check, checks in full.

        coded: by exercise, the inputs that its function is to be called with
        """
        cells = []
        for ours, solved in zip(self.cells, edition.solved, strict=True):
            if solved["cell_type"] != "code":
                continue
            entry, kind = about(solved), "code"
            if entry.get("solution"):
                kind = "answer"
            elif entry.get("grade"):
                kind = "check"
            source = source_of(ours if kind == "answer" else solved)  # hidden tests included
            if has_tag(solved, "parameters"):
                source += MARKED_WITH
            points = float(entry.get("points", 0))
            name = entry.get("grade_id")
            cells.append({"id": name, "kind": kind, "source": source, "points": points})
            if kind == "answer" and name in coded:
                cells[-1]["cases"] = coded[name]
        last = max((i for i, cell in enumerate(cells) if cell["kind"] == "check"), default=-1)
        return {"cells": cells[: last + 1]}


@dataclass(frozen=True)
class Theirs:
    """A cell of a submission, with what can be relied on: types were checked."""

    kind: str
    id: str
    grade_id: str
    source: str
    settings: dict[str, Any]
    tags: tuple[str, ...]
    has_pictures: bool


def rebuild(content: bytes, edition: Edition) -> Rebuilt:
    """Return the released notebook with the answers of a submission.

    An answer is found by its name (nbgrader's `grade_id`), else by the id of its cell, else by the
    function that it defines.

    Raises:
        InputError: it cannot be read at all, with the reason.
    """
    theirs, notes = read_submission(content)
    cells, untouched = copy.deepcopy(edition.released), set()
    taken: dict[str, list[Theirs]] = {}
    for cell in cells:
        if not about(cell).get("solution"):
            continue
        name = about(cell)["grade_id"]
        found = _find(cell, theirs, edition, notes)
        taken[name] = found
        source = _answer(name, source_of(cell), found, cell["cell_type"], notes)
        if source.strip() == source_of(cell).strip() or not source.strip():
            untouched.add(name)
        else:
            cell["source"] = source
        if any(f.has_pictures for f in found) and cell["cell_type"] == "markdown":
            notes.append(f"{name}: pictures in the answer are left out; see the submission.")
    notes += _changes(theirs, edition)
    as_answers = {
        id(cell) for found in taken.values() for cell in found
    }  # by identity: to compare 100,000 would take hours
    own = _own_cells([cell for cell in theirs if id(cell) not in as_answers], edition)
    if own:
        notes.append(f"code cells of the student's own, or changed, are left out: {len(own)}.")
    unique = tuple(dict.fromkeys(notes))
    return Rebuilt(cells, frozenset(untouched), unique, tuple(_needed(own, taken)))


# ---- reading -------------------------------------------------------------------------------------


def read_submission(content: bytes) -> tuple[list[Theirs], list[str]]:
    """Return the cells of a submission and notes; a damaged cell is left out, with a note."""
    if len(content) > LARGEST:
        raise InputError(f"it has {len(content):,} bytes; at most {LARGEST:,} are read.")
    if content.count(b"[") + content.count(b"{") > MOST_BRACKETS:
        raise InputError(f"it has more than {MOST_BRACKETS:,} lists and tables.")
    try:
        notebook = json.loads(content.decode("utf-8-sig"))
    except RecursionError:
        raise InputError("its JSON is nested too deeply.") from None
    except ValueError:
        raise InputError("it holds no valid JSON; was the file cut off?") from None
    if not isinstance(notebook, dict) or not isinstance(notebook.get("cells"), list):
        raise InputError("it is no notebook of format 4: it has no list of cells.")
    notes = []
    if notebook.get("nbformat") != 4:
        notes.append(f"the file says that its format is {_shown(notebook.get('nbformat'))}, not 4.")
    metadata = notebook.get("metadata")
    kernel = _table(_table(metadata).get("kernelspec")).get("name", KERNEL["name"])
    if kernel != KERNEL["name"]:
        notes.append(f"it was written for the kernel {_shown(kernel)}; ours is used.")
    cells = [_read_cell(cell) for cell in notebook["cells"]]
    if damaged := sum(cell is None for cell in cells):
        notes.append(f"{damaged} damaged cells could not be read.")
    if any(mark in content.lower() for mark in SCRIPT):
        notes.append("it holds a script for the browser; that is left out.")
    return [cell for cell in cells if cell is not None], notes


def _read_cell(cell: object) -> Theirs | None:
    if not isinstance(cell, dict):
        return None
    lines = cell.get("source", "")
    lines = [lines] if isinstance(lines, str) else lines
    if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
        return None
    metadata = _table(cell.get("metadata"))
    settings = _table(metadata.get("nbgrader"))
    tags = metadata.get("tags")
    return Theirs(
        kind=_text(cell.get("cell_type")),
        id=_text(cell.get("id")),
        grade_id=_text(settings.get("grade_id")),
        source="".join(lines),
        settings=settings,
        tags=tuple(tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list) else (),
        has_pictures=bool(cell.get("attachments")),
    )


def _table(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _shown(value: object) -> str:
    return plain(repr(value), 60) if isinstance(value, str | int) else f"a {type(value).__name__}"


# ---- finding the answers -------------------------------------------------------------------------


def _find(cell: Cell, theirs: list[Theirs], edition: Edition, notes: list[str]) -> list[Theirs]:
    """Return the cells of a submission that hold this answer, in their order."""
    name = about(cell)["grade_id"]
    if found := [t for t in theirs if t.grade_id == name]:
        return found
    free = [t for t in theirs if t.grade_id not in edition.grade_ids]
    if found := [t for t in free if t.id and t.id == cell.get("id")]:
        notes.append(f"{name}: its cell has lost its name; it was found by the cell's id.")
        return found
    defined = set(DEFINED.findall(source_of(cell)))
    found = [t for t in free if t.kind == "code" and defined & set(DEFINED.findall(t.source))]
    if found:
        notes.append(f"{name}: its cell is missing; the answer was found by what it defines.")
    elif found := _below_its_question(cell, theirs, edition):
        notes.append(f"{name}: its cell has lost its name; it was found below its question.")
    else:
        notes.append(f"{name}: its cell is missing, and so is the answer.")
    return found


def _below_its_question(cell: Cell, theirs: list[Theirs], edition: Edition) -> list[Theirs]:
    """Return the written answer that follows the text that stands above it, if there is one."""
    place = edition.released.index(cell)
    question = source_of(edition.released[place - 1]).strip() if place else ""
    for above, below in itertools.pairwise(theirs):
        written = below.kind == cell["cell_type"] == "markdown" and not below.grade_id
        if written and question and above.source.strip() == question:
            return [below]
    return []


def _answer(name: str, released: str, found: list[Theirs], kind: str, notes: list[str]) -> str:
    """Return the text of an answer, from as many cells as it was spread over.

    A cell that was split gives two of one name: both belong to the answer. A cell that was copied
    does, too: of whole copies the last one counts, as in a run from top to bottom. Copies that
    nobody has worked on do not count.
    """
    kinds = {_shown(cell.kind) for cell in found if cell.kind != kind}
    notes += [f"{name}: the cell is of the type {other}; expected {kind}." for other in kinds]
    worked_on = [cell.source for cell in found if cell.source.strip() != released.strip()]
    worked_on = list(dict.fromkeys(source for source in worked_on if source.strip()))
    if len(found) > 1:
        notes.append(f"{name}: {len(found)} cells have this name; those that were worked on count.")
    defined = set(DEFINED.findall(released))
    whole = [source for source in worked_on if defined & set(DEFINED.findall(source))]
    earlier = set(whole[:-1])
    kept = [source for source in worked_on if source not in earlier]
    return "\n".join(kept) if kept else released


# ---- what else was changed -----------------------------------------------------------------------


def _changes(theirs: list[Theirs], edition: Edition) -> Iterator[str]:
    """Say what was changed in cells that are not answers, and in the settings of all."""
    by_name: dict[str, list[Theirs]] = defaultdict(list)
    for cell in theirs:
        by_name[cell.grade_id].append(cell)
    for ours in filter(about, edition.released):
        settings = about(ours)
        name, is_answer = settings["grade_id"], settings.get("solution")
        found = by_name[name]
        same = [cell.source.strip() == source_of(ours).strip() for cell in found]
        if same != [True] and not is_answer:
            what = "changed" if found else "deleted or renamed"
            yield f"{name}: the cell was {what if len(found) < 2 else 'doubled'}; ours is used."
        for cell in found:
            changed = [key for key, value in settings.items() if not _same(cell, key, value)]
            if changed:
                yield f"{name}: its settings were changed ({', '.join(changed)}); ours are used."
    known = {tag for ours in edition.released for tag in ours["metadata"].get("tags", [])}
    if tags := sorted({plain(tag, 40) for cell in theirs for tag in cell.tags} - known):
        yield f"tags that are not ours are left out: {', '.join(tags[:5])}."


def _same(cell: Theirs, key: str, value: object) -> bool:
    found = cell.settings.get(key)
    if key == "checksum":  # another one after every release
        return True
    return found == value and isinstance(found, bool) == isinstance(value, bool)


def _own_cells(others: list[Theirs], edition: Edition) -> list[Theirs]:
    """Return the code that is the student's own, or that was changed: all of it is left out."""
    known = {"", *(source_of(cell).strip() for cell in edition.released)}
    code = [cell for cell in others if cell.kind == "code" and cell.source.strip() not in known]
    return [cell for cell in code if cell.grade_id not in edition.grade_ids]


def _needed(own: list[Theirs], answers: dict[str, list[Theirs]]) -> Iterator[str]:
    """Yield what such code defines and an answer uses: a person should look at that."""
    defined = {name for cell in own for name in DEFINED.findall(cell.source)}
    for answer, cells in answers.items():
        used = {word for cell in cells for word in re.findall(r"\w+", cell.source)}
        if names := ", ".join(plain(name, 40) for name in sorted(defined & used)[:5]):
            yield f"{answer}: {OWN_CELL}: {names}"
