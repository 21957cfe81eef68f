"""Reading, writing and cleaning notebook files."""

import copy
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from transferlab.errors import InputError

if TYPE_CHECKING:
    from nbformat import NotebookNode

KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
CELL_METADATA = ("deletable", "editable", "nbgrader", "tags")
MADE_BY_THE_RUN = {"injected-parameters", "papermill-error-cell-tag"}  # tags of added cells
NAMED = re.compile(r"""(?:\]\(|src=["'])([\w./%-]+\.(?:png|jpe?g|gif|svg|csv))\b""")
WIDGET = "application/vnd.jupyter.widget-view+json"


def check_folder(folder: Path, option: str) -> None:
    """Raise when a folder that an option names is not there."""
    if not folder.is_dir():
        raise InputError(
            f"there is no folder {str(folder)!r} here; change to the folder that holds it, or name "
            f"it with {option}."
        )


def read_json(path: Path) -> dict[str, Any]:
    """Return a notebook as plain dictionaries: much faster than nbformat, enough for reading."""
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise InputError(f"{path} is not a notebook: it is no file.")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not a notebook: it holds no valid JSON.") from error
    if not isinstance(content, dict) or not isinstance(content.get("cells"), list):
        raise InputError(f"{path} is not a notebook: it has no list of cells.")
    if not isinstance(content.setdefault("metadata", {}), dict):
        raise InputError(f"{path} is not a notebook: its metadata are not a table of names.")
    if (version := content.get("nbformat")) != 4:
        raise InputError(
            f"{path} is not a notebook of format 4: its nbformat is {version!r}; "
            "save it in JupyterLab."
        )
    for number, cell in enumerate(content["cells"], start=1):
        if not _is_cell(cell):
            raise InputError(
                f"{path} is not a notebook: cell {number} is damaged; expected a cell_type, "
                "metadata, a source and, with code, outputs."
            )
    return content


def _is_cell(cell: object) -> bool:
    """Return whether a cell has the parts that are read from it."""
    if not isinstance(cell, dict) or not isinstance(cell.get("metadata"), dict):
        return False
    source = cell.get("source")
    lines = [source] if isinstance(source, str) else source
    is_text = isinstance(lines, list) and all(isinstance(line, str) for line in lines)
    kind, tags = cell.get("cell_type"), cell["metadata"].get("tags", [])
    has_outputs = kind == "code" and isinstance(cell.get("outputs"), list)
    return is_text and isinstance(tags, list) and (has_outputs or kind in ("markdown", "raw"))


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
    from transferlab.files import written_whole  # imports torch

    try:
        with written_whole(path) as unfinished:
            unfinished.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}.") from error


def source_of(cell: dict[str, Any]) -> str:
    """Return a cell's text; in the file it may be one string or a list of lines."""
    return "".join(cell["source"])


def has_tag(cell: dict[str, Any], tag: str) -> bool:
    """Return whether a cell carries a tag."""
    return tag in cell["metadata"].get("tags", [])


def tagged(notebook: dict[str, Any], tag: str) -> list[str]:
    """Return the texts of the cells that carry a tag."""
    return [source_of(cell) for cell in notebook["cells"] if has_tag(cell, tag)]


def files_named_in(notebook: Path) -> list[Path]:
    """Return the pictures and tables of the same folder that a notebook's text names."""
    cells = read_json(notebook)["cells"]
    text = "\n".join(source_of(cell) for cell in cells if cell["cell_type"] == "markdown")
    names = [unquote(name) for name in NAMED.findall(text)]
    paths = [notebook.parent / name for name in names if ".." not in name]
    return [path for path in paths if path.is_file() and notebook.parent in path.parents]


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
        if output.get("name") == "stderr" or WIDGET in output.get("data", {}):
            continue  # a progress bar
        if output.output_type == "execute_result":
            output.execution_count = number
        if kept and output.output_type == kept[-1].output_type == "stream":
            kept[-1].text += output.text  # where a text is cut depends on the kernel's timing
        else:
            kept.append(output)
    return kept
