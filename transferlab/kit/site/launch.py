"""Links that open a lesson in Colab or on Binder, for a site that lies on GitHub."""

import re
from typing import Any, NamedTuple

from transferlab.errors import InputError

FOLDER = "launch"  # of the site: the notebooks that the links open
BRANCH = re.compile(r"https://github\.com/([\w.-]+/[\w.-]+)/tree/([\w.-]+)/?")
BUTTONS = """Run it [in Colab](https://colab.research.google.com/github/{repository}/blob/{branch}\
/{place}) or [on Binder](https://mybinder.org/v2/gh/{repository}/{branch}?urlpath=lab/tree/{place}).
Its first cell installs the course there."""
INSTALL = """# This machine does not know the course yet: once in a session, it takes some minutes.
%pip install --quiet "transferlab[notebook,real] @ git+https://github.com/{repository}\""""


class Launch(NamedTuple):
    """The branch that will hold the built site, such as gh-pages of owner/name."""

    repository: str
    branch: str

    def buttons(self, place: str) -> str:
        """Return the Markdown that opens the notebook of this place."""
        return BUTTONS.format(place=f"{FOLDER}/{place}", **self._asdict())

    def notebook(self, notebook: dict[str, Any]) -> dict[str, Any]:
        """Return a notebook that begins with the cell that installs the package."""
        cell = {"cell_type": "code", "id": "install", "metadata": {}, "execution_count": None}
        cell |= {"outputs": [], "source": INSTALL.format(repository=self.repository)}
        return notebook | {"cells": [cell, *notebook["cells"]]}


def read_launch(address: str) -> Launch | None:
    """Return the branch that an address names; None without one: then no page has such links."""
    found = BRANCH.fullmatch(address)
    if address and not found:
        raise InputError(
            f"--launch {address!r} is no branch on GitHub; expected the one that will hold the "
            "site, such as https://github.com/owner/name/tree/gh-pages."
        )
    return Launch(*found.groups()) if found else None
