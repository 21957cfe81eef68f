"""Whole photographs that come with scikit-image, scikit-learn and matplotlib."""

from PIL import Image

from transferlab.data.sets.cards import cards


def photos() -> dict[str, Image.Image]:
    """Return sixteen whole photographs by name, in colour or grey (as RGB), to look at or to name.

    `licences()` says who took each, and on what terms it may be used.
    """
    pictures = {}
    for card in (*cards("photos"), *cards("grey_photos"), *cards("textures")):
        with Image.open(card.file()) as image:
            pictures[card.name] = image.convert("RGB").crop(card.crop)
    return pictures
