"""Run a notebook's code cells one after the other, on a machine without Jupyter.

    python tests/gpu/run_cells.py LESSON.ipynb --profile class --device cuda --seed 0

The exit code is 0 when all cells ran, 1 when one failed, 2 when the notebook cannot be run at all.
"""

import argparse
import ast
import json
import linecache
import sys
import time
import traceback
import types
from pathlib import Path
from typing import Any


def code_cells(path: Path) -> list[tuple[str, bool]]:
    """Return the source of each code cell, and whether it has the tag `parameters`."""
    return [
        ("".join(cell["source"]), "parameters" in cell["metadata"].get("tags", []))
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]
        if cell["cell_type"] == "code"
    ]


def as_text(value: Any) -> str:
    """Return the text that Jupyter would show of a value; a figure draws itself first."""
    bundle = getattr(value, "_repr_mimebundle_", None)
    shown = bundle() if bundle else {}
    shown = shown[0] if isinstance(shown, tuple) else shown  # the data, and the metadata
    return shown.get("text/plain") or repr(value)


def run_cell(source: str, name: str, names: dict[str, Any]) -> None:
    """Execute one cell in these names, and print the value of its last line if it has one."""
    # So that tracebacks, and `inspect.getsource` in a lesson, find the lines.
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    tree = ast.parse(source, name)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, name, "exec"), names)
    if last is not None:
        value = eval(compile(ast.Expression(last.value), name, "eval"), names)
        if value is not None:
            print(as_text(value))


def set_parameters(names: dict[str, Any], parameters: dict[str, Any]) -> None:
    """Change what the cell `parameters` has set; a name that it does not set is an error."""
    unknown = [name for name in parameters if name not in names]
    if unknown:
        raise ValueError(f"the cell tagged `parameters` does not set {', '.join(unknown)}.")
    names.update(parameters)


def run_notebook(path: Path, parameters: dict[str, Any]) -> int:
    """Run all cells, and return the exit code."""
    cells = code_cells(path)
    if sum(tagged for _, tagged in cells) != 1:
        print(f"{path}: expected one code cell tagged `parameters`.")
        return 2
    lesson = sys.modules["__main__"] = types.ModuleType("__main__")  # as in a notebook
    begun = time.perf_counter()
    for number, (source, tagged) in enumerate(cells, start=1):
        first_line = source.strip().partition("\n")[0]
        seconds = time.perf_counter() - begun
        print(f"[{seconds:6.1f} s] code cell {number}: {first_line}", flush=True)
        try:
            run_cell(source, f"<code cell {number}>", lesson.__dict__)
            if tagged:
                set_parameters(lesson.__dict__, parameters)
        except (Exception, SystemExit) as error:  # a cell that calls sys.exit() has failed, too
            traceback.print_exc(file=sys.stdout)
            print(f"FAILED in code cell {number} ({first_line}): {type(error).__name__}: {error}")
            return 1
    print(f"{path}: {len(cells)} code cells in {time.perf_counter() - begun:.1f} s")
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebook", type=Path)
    parser.add_argument("--profile", default="class", choices=("smoke", "class", "full"))
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seed", type=int, default=0)
    settings = vars(parser.parse_args())
    sys.exit(run_notebook(settings.pop("notebook"), settings))
