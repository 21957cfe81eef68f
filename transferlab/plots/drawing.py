"""A drawing of an idea: a sketch (`sketches/*.svg`, by jinja2) filled with the real numbers.

A sketch sets its title, an alternative text and its height, and draws with the macros of
`sketches/shapes.svg`.
"""

import base64
import functools
import html
import math
from pathlib import Path
from typing import Any

from matplotlib.font_manager import FontProperties, findfont
from PIL import ImageFont
from torch import nn

from transferlab.plots.figure import STYLES

COLORS = dict(zip(("blue", "red", "green"), (style["color"] for style in STYLES), strict=False))
COLORS |= {"ink": "#1a1a1a", "gray": "#6b6b6b"}
SMALLEST = 11  # pixels; words that are still too wide in letters of this size are cut


class Drawing:
    """A drawing with its alternative text; Jupyter shows it when it is a cell's last line.

    It is shown as an image, so that its card stays white and its ink dark in every theme.

    Attributes:
        alt: what the drawing shows, in words.
        svg: the drawing as the text of an SVG file.
    """

    def __init__(self, alt: str, svg: str) -> None:
        self.alt, self.svg = alt, svg

    def __repr__(self) -> str:
        return self.alt

    def _repr_html_(self) -> str:
        source = base64.b64encode(self.svg.encode()).decode("ascii")
        attributes = f'alt="{html.escape(self.alt)}" width="760" style="max-width: 100%"'
        return f'<img {attributes} src="data:image/svg+xml;base64,{source}">'


def sketch(name: str, /, **values: object) -> Drawing:
    """Return the drawing of `sketches/<name>.svg` with these values."""
    parts = _sketches().get_template(f"{name}.svg").make_module(values)
    alt = f"{parts.title}. {' '.join(parts.alt.unescape().split())}"
    card = _sketches().get_template("card.svg")
    return Drawing(alt, card.render(alt=alt, title=parts.title, height=parts.height, parts=parts))


@functools.cache
def _sketches() -> Any:
    import jinja2

    folder = jinja2.FileSystemLoader(Path(__file__).with_name("sketches"))
    tidy = {"trim_blocks": True, "lstrip_blocks": True, "undefined": jinja2.StrictUndefined}
    found = jinja2.Environment(loader=folder, autoescape=True, **tidy)
    found.globals |= {"COLORS": COLORS, "fitted": fitted, "prod": math.prod}
    found.filters |= {"count": count, "comma": "{:,}".format, "short": short}
    return found


def count(model: nn.Module) -> str:
    """Return how many parameters a model has, in words."""
    return f"{sum(p.numel() for p in model.parameters()):,} parameters"


def short(number: float) -> str:
    """Return a number with at most four digits."""
    return f"{number:.4g}".replace("-", "−")


def fitted(words: str, size: float, room: float, bold: bool = False) -> tuple[str, float]:
    """Return words and a size in which they are at most `room` pixels wide.

    They are measured in DejaVu Sans; few fonts without serifs are wider.
    """
    wide = _font(bold).getlength
    size = min(size, max(SMALLEST, 100 * room / max(1, wide(words))))
    while len(words) > 1 and wide(words) * size > 100 * room:
        words = f"{words[:-2]}…"
    return words, math.floor(10 * size) / 10


@functools.cache
def _font(bold: bool) -> ImageFont.FreeTypeFont:
    font = FontProperties(family="DejaVu Sans", weight="bold" if bold else "normal")
    return ImageFont.truetype(findfont(font), 100)
