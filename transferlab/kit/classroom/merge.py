"""A newer lesson is merged into the student's copy; no cell of either side is lost."""

import difflib
from types import SimpleNamespace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbformat import NotebookNode

Cells = list["NotebookNode"]
MARK = "New in the course; your own cells are kept."  # the first line of a cell that was put below


def merge(base: "NotebookNode", mine: "NotebookNode", new: "NotebookNode") -> "NotebookNode":
    """Return the student's notebook with what is new in the course.

    nbdime merges three ways: cell by cell, and inside a cell line by line. It does so twice. Where
    both sides have changed the same lines, the first result has the student's, the second one the
    course's. There the student's cell stays as it is; the course's cell comes below, and says so in
    its first line.

    Args:
        base: what the course handed out before; without any cells when that is not known.
        mine: the student's notebook. It may hold what an earlier merge has put there.
        new: what the course hands out now.
    """
    ours, theirs = (_three_ways(base, mine, new, side) for side in ("use-local", "use-remote"))
    ours.cells = _side_by_side(ours.cells, theirs.cells, base.cells, mine.cells, new.cells)
    texts = _keys(mine.cells)
    for number, cell in enumerate(ours.cells):
        cell["id"] = f"cell-{number:02}"  # two sides may have given the same one
        if cell.cell_type == "code" and _key(cell) not in texts:  # the outputs are of another text
            cell.outputs, cell.execution_count = [], None
    ours.metadata = {**mine.metadata, **new.metadata}
    ours.nbformat_minor = max(mine.nbformat_minor, new.nbformat_minor)
    return ours


def marked_cells(notebook: "NotebookNode") -> int:
    """Return how many cells of the course stand below cells of the student."""
    return sum(MARK in cell.source.partition("\n")[0] for cell in notebook.cells)


def _three_ways(
    base: "NotebookNode", mine: "NotebookNode", new: "NotebookNode", strategy: str
) -> "NotebookNode":
    from nbdime.merging.notebooks import merge_notebooks

    arguments = SimpleNamespace(
        merge_strategy=strategy,
        input_strategy=strategy,
        output_strategy="use-local",
        ignore_transients=True,
        log_level="ERROR",
    )
    merged, _ = merge_notebooks(*map(_bare, (base, mine, new)), arguments)
    return merged


def _bare(notebook: "NotebookNode") -> "NotebookNode":
    """Return a copy to be merged by its text alone.

    Cells are numbered from the top, so an inserted one moves the names of those below.
    """
    from nbformat import from_dict

    cells = [{key: cell[key] for key in cell if key != "id"} for cell in notebook.cells]
    return from_dict({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 4})


def _key(cell: "NotebookNode") -> tuple[str, str]:
    return cell.cell_type, cell.source


def _keys(cells: Cells) -> set[tuple[str, str]]:
    return {_key(cell) for cell in cells}


def _side_by_side(ours: Cells, theirs: Cells, base: Cells, mine: Cells, new: Cells) -> Cells:
    """Return the student's cells, with the course's below where the two merges differ."""
    unmixed = _keys([*base, *mine, *new])
    given_up = _keys(base) - _keys(mine)  # what the student has deleted or replaced
    matcher = difflib.SequenceMatcher(
        None, [_key(cell) for cell in ours], [_key(cell) for cell in theirs], autojunk=False
    )
    cells: Cells = []
    below: list[tuple[int, NotebookNode]] = []
    for same, start, stop, their_start, their_stop in matcher.get_opcodes():
        cells += ours[start:stop]
        if same == "equal":
            continue
        for part, side in ((ours[start:stop], mine), (theirs[their_start:their_stop], new)):
            for cell in part:
                if _key(cell) not in unmixed:  # lines of both sides, which are at odds
                    cell.source = _nearest(cell, side)
        below += [(len(cells), cell) for cell in theirs[their_start:their_stop]]
    there, names = _keys(cells), {_grade_id(cell) for cell in cells}
    for place, cell in reversed(below):
        marked = _marked(cell)
        if there.isdisjoint((_key(cell), _key(marked))) and _key(cell) not in given_up:
            if _grade_id(cell) in names:  # marked by name: there can be only one
                marked.metadata = {}
            cells.insert(place, marked)
    return cells


def _nearest(cell: "NotebookNode", cells: Cells) -> str:
    """Return the text of which this cell's is a mixture."""
    texts = [other.source for other in cells if other.cell_type == cell.cell_type]
    return (difflib.get_close_matches(cell.source, texts, n=1, cutoff=0.3) or [cell.source])[0]


def _marked(cell: "NotebookNode") -> "NotebookNode":
    marked = cell.copy()
    line = f"# {MARK}\n" if cell.cell_type == "code" else f"*{MARK}*\n\n"
    marked.source = line + cell.source
    return marked


def _grade_id(cell: "NotebookNode") -> str | None:
    return cell.metadata.get("nbgrader", {}).get("grade_id")
