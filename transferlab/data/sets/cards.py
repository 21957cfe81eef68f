"""Real pictures and texts that other packages contain: their locations and licences.

None of it is in this repository. It is read from the installed packages when it is needed, so it
works without a network, and under its own licences. `cards.toml` holds the licence cards.
"""

import functools
import importlib.util
import sysconfig
import tomllib
from dataclasses import dataclass
from pathlib import Path

from transferlab.errors import InputError

# The name to install a package by, where it differs from the name to import it by.
INSTALLED_AS = {"skimage": "scikit-image", "sklearn": "scikit-learn"}


@dataclass(frozen=True)
class Card:
    """The licence card of one file, or of all documentation that one package contains.

    Attributes:
        name: the class that its samples belong to.
        package: the package that contains it, as it is imported.
        path: its path inside the package; "" for the package's documentation.
        author: its author.
        licence: the terms of its use.
        source: its origin as stated by the package.
        crop: the part of a picture that is used (left, top, right, bottom), in pixels; None: all.
    """

    name: str
    package: str
    path: str
    author: str
    licence: str
    source: str
    crop: tuple[int, int, int, int] | None = None

    @property
    def installed_as(self) -> str:
        """The name to install the package by."""
        return INSTALLED_AS.get(self.package, self.package.replace("_", "-"))

    def file(self) -> Path:
        """Return the file's path; an InputError names the package that should contain it."""
        folder, name = package_folder(self.package), self.installed_as
        if folder is None:
            raise InputError(f"{self.name}: {name} is missing. Type: pip install {name}")
        if not (folder / self.path).is_file():
            raise InputError(
                f"{self.name}: {folder} holds no {self.path}; type: pip install --upgrade {name}"
            )
        return folder / self.path


@functools.cache
def all_cards() -> dict[str, tuple[Card, ...]]:
    """Return the licence cards of every set: name of the set → its cards."""
    text = Path(__file__).with_name("cards.toml").read_text(encoding="utf-8")
    return {
        name: tuple(
            Card(**{k: tuple(v) if isinstance(v, list) else v for k, v in entry.items()})
            for entry in entries
        )
        for name, entries in tomllib.loads(text).items()
    }


def cards(name: str) -> tuple[Card, ...]:
    """Return the licence cards of one set, such as "photos" or "docstrings"."""
    return all_cards()[name]


def package_folder(package: str) -> Path | None:
    """Return the folder of an installed package without importing it; None when it is missing.

    "python" stands for the standard library.
    """
    if package == "python":
        return Path(sysconfig.get_path("stdlib"))
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0])


def licences() -> list[dict[str, str]]:
    """Return one row for everything real that is embedded: author, licence and source."""
    return [
        {
            "set": name,
            "what": card.name,
            "author": card.author,
            "licence": card.licence,
            "source": card.source,
            "packaged by": card.installed_as,
        }
        for name, entries in all_cards().items()
        for card in entries
    ]
