"""Reading, writing and cleaning notebook files."""

import copy
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transferlab.errors import InputError
from transferlab.files import written_whole

if TYPE_CHECKING:
    from nbformat import NotebookNode

KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
CELL_METADATA = ("deletable", "editable", "nbgrader", "tags")
MADE_BY_THE_RUN = {"injected-parameters", "papermill-error-cell-tag"}  # tags of added cells
WIDGET = "application/vnd.jupyter.widget-view+json"


def read_json(path: Path) -> dict[str, Any]:
    """Return a notebook as plain dictionaries: much faster than nbformat, enough for reading."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise InputError(f"{path} is not a notebook: it holds no valid JSON.") from error
    if not isinstance(content, dict) or not isinstance(content.get("cells"), list):
        raise InputError(f"{path} is not a notebook: it has no list of cells.")
    return content


def read_notebook(path: Path) -> "NotebookNode":
    """Return a notebook as nbformat's object, which can be changed and written back."""
    import nbformat

    read_json(path)  # raises the one-sentence error when it is not a notebook
    return nbformat.read(path, as_version=4)


def notebook_text(notebook: "NotebookNode") -> str:
    """Return the text of a notebook's file."""
    import nbformat

    return nbformat.writes(notebook).rstrip("\n") + "\n"


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    with written_whole(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8", newline="\n")


def source_of(cell: dict[str, Any]) -> str:
    """Return a cell's text; in the file it may be one string or a list of lines."""
    return "".join(cell["source"])


def has_tag(cell: dict[str, Any], tag: str) -> bool:
    """Return whether a cell carries a tag."""
    return tag in cell["metadata"].get("tags", [])


def clean_notebook(notebook: "NotebookNode") -> "NotebookNode":
    """Return a copy without what changes from run to run, so that Git shows real changes only.

    Text and outputs stay. Cells that papermill added, timestamps, the state of widgets and the
    output of progress bars go. Cells that were run are numbered from the top, as after "Restart
    and run all"; without a number, nbval would call their outputs left over.
    """
    import nbformat

    clean = copy.deepcopy(notebook)
    clean.metadata = nbformat.from_dict(
        {"kernelspec": KERNEL, "language_info": {"name": "python"}}
        | {key: notebook.metadata[key] for key in ("transferlab",) if key in notebook.metadata}
    )
    clean.cells = [
        cell for cell in clean.cells if not MADE_BY_THE_RUN & set(cell.metadata.get("tags", []))
    ]
    number = 0
    for cell in clean.cells:
        metadata = {key: cell.metadata[key] for key in CELL_METADATA if key in cell.metadata}
        if not metadata.get("tags"):
            metadata.pop("tags", None)  # papermill adds an empty list to every cell
        cell.metadata = nbformat.from_dict(metadata)
        if cell.cell_type == "code":
            number += 1
            cell.outputs = _clean_outputs(cell.outputs, number)
            was_run = cell.outputs or cell.execution_count is not None
            cell.execution_count = number if was_run else None
    return clean


def _clean_outputs(outputs: list["NotebookNode"], number: int) -> list["NotebookNode"]:
    kept: list[NotebookNode] = []
    for output in outputs:
        progress_bar = output.get("name") == "stderr" or WIDGET in output.get("data", {})
        if progress_bar:
            continue
        if output.output_type == "execute_result":
            output.execution_count = number
        together = kept and output.output_type == kept[-1].output_type == "stream"
        if together:  # how a text is cut into pieces depends on the kernel's timing
            kept[-1].text += output.text
        else:
            kept.append(output)
    return kept
