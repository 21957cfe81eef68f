"""What all figures share: alternative text, axes, and a palette for colour-blind readers."""

import base64
import io
import textwrap
from collections.abc import Mapping
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from transferlab.errors import InputError
from transferlab.files import written_whole

# Okabe and Ito's palette (2008), for colour-blind readers; markers and lines differ, for prints.
STYLES = (
    {"color": "#0072B2", "marker": "o", "linestyle": "-"},
    {"color": "#D55E00", "marker": "s", "linestyle": "--"},
    {"color": "#009E73", "marker": "^", "linestyle": "-."},
    {"color": "#CC79A7", "marker": "D", "linestyle": ":"},
    {"color": "#E69F00", "marker": "v", "linestyle": "-"},
    {"color": "#56B4E9", "marker": "P", "linestyle": "--"},
)
MARKERS = "os^DvP*X<>"  # for points without lines, where more than six names fit


class Plot:
    """A finished figure with its alternative text; Jupyter shows it when it is a cell's last line.

    Attributes:
        figure: the matplotlib figure.
        alt: what the figure shows, in words.
    """

    def __init__(self, figure: Figure, alt: str) -> None:
        if not alt.strip():
            raise InputError("alt is empty; expected a sentence that says what the figure shows.")
        self.figure, self.alt = figure, alt

    def _repr_mimebundle_(self, include: object = None, exclude: object = None):
        drawn, small = io.BytesIO(), io.BytesIO()
        self.figure.savefig(drawn, format="png", dpi=100)
        Image.open(drawn).convert("RGB").quantize(256).save(small, "png")  # a third of the bytes
        png = base64.b64encode(small.getvalue()).decode("ascii")
        return {"image/png": png, "text/plain": self.alt}, {"image/png": {"alt": self.alt}}

    def save(self, path: str | Path) -> None:
        """Write the figure to a file in the format of its suffix, such as .png or .svg."""
        file_format = Path(path).suffix.removeprefix(".")
        known = self.figure.canvas.get_supported_filetypes()
        if file_format not in known:
            raise InputError(f"{path}: expected a name that ends in .{', .'.join(sorted(known))}.")
        with written_whole(path) as unfinished:
            self.figure.savefig(unfinished, dpi=150, format=file_format)


def make_axes(
    columns: int = 1, width: float = 6.4, height: float = 3.8
) -> tuple[Figure, list[Axes]]:
    """Return a figure of that size, in inches, and its axes side by side."""
    figure = Figure(figsize=(width, height), layout="constrained")  # no pyplot: no global state
    axes = list(figure.subplots(1, columns, squeeze=False)[0])
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(alpha=0.25)
        axis.tick_params(labelsize=11)
    return figure, axes


def label_axes(axis: Axes, x: str, y: str, title: str = "") -> None:
    lines = [textwrap.fill(line, 42) for line in x.splitlines()]  # a longer one would be cut
    axis.set_xlabel("\n".join(lines), fontsize=12)
    axis.set_ylabel(y, fontsize=12)
    axis.set_title(title, fontsize=13)


def add_legend(figure: Figure, axis: Axes) -> None:
    """Add the legend: inside the axes, or beside them when there are more than three lines."""
    handles, names = axis.get_legend_handles_labels()
    if len(names) > 3:
        figure.legend(handles, names, loc="outside right center", fontsize=11, frameon=False)
    else:
        axis.legend(fontsize=11, frameon=False)


def styled(series: Mapping) -> list[tuple[tuple, dict]]:
    """Pair each entry, name → values, with a style of its own."""
    if len(series) > len(STYLES):
        raise InputError(f"{len(series)} lines in one figure; expected at most {len(STYLES)}.")
    return list(zip(series.items(), STYLES, strict=False))
