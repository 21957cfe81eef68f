"""The pages of the package's documentation, for autodoc to fill from the docstrings."""

import ast
import re
from pathlib import Path

PACKAGE = Path(__file__).parents[2]
HIDDEN = ("kit", "weights")  # the command has its own help
INDEX = "api/index.rst"
EXPORTED = re.compile(r"^__all__ = (\[.*?\])", re.MULTILINE | re.DOTALL)


def api_pages() -> dict[str, str]:
    """Return one page for each file or folder of the package, by its place.

    A folder's page begins with what it exports, by the names that people import.
    """
    pages: dict[str, str] = {}
    exported: list[str] = []
    for file in sorted(PACKAGE.rglob("*.py")):  # a folder's __init__.py comes first
        parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
        if parts[1] in HIDDEN:
            continue
        name = ".".join(part for part in parts if part != "__init__")
        place = INDEX if parts[1] == "__init__" else f"api/{parts[1]}.rst"
        first = place not in pages
        if first:
            found = EXPORTED.search(file.read_text(encoding="utf-8"))
            exported = ast.literal_eval(found[1]) if found else []
        option = ":imported-members:" if first else f":exclude-members: {', '.join(exported)}"
        title = [name, "-="[first] * len(name), "", f".. automodule:: {name}", "   :members:"]
        lines = [pages.get(place, ""), *title, f"   {option}" if exported else "", ""]
        pages[place] = "\n".join(lines)
    rooms = "".join(f"   {Path(place).stem}\n" for place in pages if place != INDEX)
    pages[INDEX] += f"\n.. toctree::\n\n{rooms}"
    return pages
