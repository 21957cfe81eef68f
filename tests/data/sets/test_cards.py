"""What other packages contain: every file is there, and every one has its licence card."""

from importlib.metadata import files

import pytest

from transferlab import InputError
from transferlab.applications.faces import faces
from transferlab.applications.text import docstrings
from transferlab.data import digits, licences, photo_patches, textures
from transferlab.data.sets.cards import Card, cards, package_folder

SETS = ("photos", "grey_photos", "textures", "faces", "digits")
FILES = [card for name in SETS for card in cards(name)]
OTHERS = [*cards("mnist_small"), *cards("solar_cells")]  # in packages that may be missing


@pytest.mark.parametrize("card", FILES, ids=lambda card: card.name)
def test_the_package_itself_contains_the_file(card):
    """Nothing that was downloaded later counts: the file is in the list of what was installed."""
    installed = {file.as_posix() for file in files(card.installed_as)}
    assert f"{card.package}/{card.path}" in installed
    assert card.file().stat().st_size > 10_000


def test_every_class_of_every_real_set_has_a_card_that_says_all():
    rows = licences()
    assert list(rows[0]) == ["set", "what", "author", "licence", "source", "packaged by"]
    assert all(all(row.values()) for row in rows)
    carded = {(row["set"], row["what"]) for row in rows}
    for data in (photo_patches(2), textures(2), docstrings("test")):
        assert {(data.name, name) for name in data.classes} <= carded
    for data in (digits(), faces()):
        assert (data.name, data.name) in carded
    assert len(carded) == len(rows) == len(FILES) + len(OTHERS) + 7


def test_a_missing_picture_names_the_package_to_update():
    def card(package: str) -> Card:
        return Card("lake", package, "data/lake.png", "", "", "")

    with pytest.raises(
        InputError, match=r"lake: .* holds no data/lake.png; .* pip install --upgrade scikit-image"
    ):
        card("skimage").file()
    with pytest.raises(InputError, match="lake: no-such-package is missing"):
        card("no_such_package").file()


def test_folders_are_found_without_an_import():
    assert (package_folder("python") / "argparse.py").is_file()
    assert (package_folder("skimage") / "__init__.py").is_file()
    assert package_folder("no_such_package") is None
    assert package_folder("argparse") is None  # one file, no folder
