"""Every figure of the course: colour-blind safe, with units, intervals and a text for the blind."""

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter
from matplotlib.transforms import ScaledTranslation
from skimage.measure import label as measure_label
from skimage.measure import regionprops
from torch import Tensor

from transferlab.errors import InputError
from transferlab.metrics import Evaluation, Interval

if TYPE_CHECKING:
    from transferlab.history import History

# Okabe and Ito's palette (2008) keeps its differences for colour-blind eyes; markers and lines
# differ as well, so that a black-and-white print can be read.
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
        buffer = io.BytesIO()
        self.figure.savefig(buffer, format="png", dpi=100, metadata={"Software": None})
        png = base64.b64encode(buffer.getvalue()).decode("ascii")
        return {"image/png": png, "text/plain": self.alt}, {"image/png": {"alt": self.alt}}

    def save(self, path: str | Path) -> None:
        """Write the figure to a file; its ending says the format."""
        self.figure.savefig(path, dpi=150)


def _axes(columns: int = 1, width: float = 6.4, height: float = 3.8) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(width, height), layout="constrained")  # no pyplot: no global state
    axes = list(figure.subplots(1, columns, squeeze=False)[0])
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(alpha=0.25)
        axis.tick_params(labelsize=11)
    return figure, axes


def _label(axis: Axes, x: str, y: str, title: str = "") -> None:
    axis.set_xlabel(x, fontsize=12)
    axis.set_ylabel(y, fontsize=12)
    axis.set_title(title, fontsize=13)


def _legend(figure: Figure, axis: Axes) -> None:
    """Name the lines: inside, where there is room; beside the axes when they are many."""
    handles, names = axis.get_legend_handles_labels()
    if len(names) > 4:
        figure.legend(handles, names, loc="outside right center", fontsize=11, frameon=False)
    else:
        axis.legend(fontsize=11, frameon=False)


def _styled(series: Mapping) -> list[tuple[tuple, dict]]:
    """Give each line a style of its own."""
    if len(series) > len(STYLES):
        raise InputError(f"{len(series)} lines in one figure; expected at most {len(STYLES)}.")
    return list(zip(series.items(), STYLES, strict=False))


def curves(
    x: Sequence[float],
    series: Mapping[str, Sequence[Interval]],
    *,
    x_label: str,
    y_label: str,
    alt: str,
    title: str = "",
    log_x: bool = False,
) -> Plot:
    """Draw one line per entry of `series`, with its interval at every point.

    Args:
        x: the positions, such as labels per class.
        series: name of each line → one interval per position.
    """
    figure, [axis] = _axes()
    for (name, intervals), style in _styled(series):
        mean = np.array([i.mean for i in intervals])
        low, high = (np.array([getattr(i, end) for i in intervals]) for end in ("low", "high"))
        axis.fill_between(x, low, high, color=style["color"], alpha=0.15, linewidth=0)
        error = [mean - low, high - mean]
        axis.errorbar(x, mean, error, label=name, capsize=3, lw=2, clip_on=False, **style)
    if log_x:
        axis.set_xscale("log")
        axis.set_xticks(list(x), labels=[f"{value:g}" for value in x])
        axis.minorticks_off()
    elif all(float(value).is_integer() for value in x):
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))  # there is no block 1.5
    _label(axis, x_label, y_label, title)
    _legend(figure, axis)
    return Plot(figure, alt)


def bars(
    values: Mapping[str, Interval], *, x_label: str, alt: str, title: str = "", zero: bool = True
) -> Plot:
    """Draw one horizontal bar per entry, with its interval and its number.

    Args:
        zero: start the axis at zero; False leaves the range to the data.
    """
    figure, [axis] = _axes(height=1.2 + 0.5 * len(values))
    names, intervals = list(values), list(values.values())
    mean = np.array([i.mean for i in intervals])
    errors = [[i.mean - i.low for i in intervals], [i.high - i.mean for i in intervals]]
    axis.barh(names, mean, xerr=errors, color=STYLES[0]["color"], alpha=0.6, capsize=4, height=0.6)
    axis.invert_yaxis()  # the first entry on top, as in the table
    for row, found in enumerate(intervals):
        axis.annotate(
            f"{found.mean:.1f}",
            (max(found.high, 0), row),
            (6, 0),
            "data",
            "offset points",
            va="center",
        )
    axis.margins(x=0.12)
    if not zero:
        low, high = min(i.low for i in intervals), max(i.high for i in intervals)
        axis.set_xlim(low - 0.15 * (high - low), high + 0.15 * (high - low))
    _label(axis, x_label, "", title)
    return Plot(figure, alt)


def scatter(
    points: Mapping[str, tuple[float, Interval]],
    *,
    x_label: str,
    y_label: str,
    alt: str,
    title: str = "",
    log_x: bool = False,
) -> Plot:
    """Draw one point per entry of `points`, name → (x, y with its interval), such as cost and gain.

    Points with the same x would hide each other; they are moved a little, to stand side by side.
    """
    if len(points) > len(MARKERS):
        raise InputError(f"{len(points)} points in one figure; expected at most {len(MARKERS)}.")
    figure, [axis] = _axes(width=8)
    if log_x:
        axis.set_xscale("log")
    places = [x for x, _ in points.values()]
    for number, (name, (x, found)) in enumerate(points.items()):
        left = places[:number].count(x) - (places.count(x) - 1) / 2  # 3 points: -1, 0, 1
        beside = ScaledTranslation(9 * left / 72, 0, figure.dpi_scale_trans)  # 9 typographic points
        axis.errorbar(
            x,
            found.mean,
            [[found.mean - found.low], [found.high - found.mean]],
            label=name,
            transform=axis.transData + beside,
            color=STYLES[number % len(STYLES)]["color"],
            marker=MARKERS[number],
            markersize=7,
            linestyle="",
            capsize=3,
        )
        axis.update_datalim([(x, found.low), (x, found.high)])  # a moved point does not count
    axis.margins(x=0.12)
    axis.autoscale_view()
    _label(axis, x_label, y_label, title)
    figure.legend(loc="outside right center", fontsize=11, frameon=False)
    return Plot(figure, alt)


def lines(
    series: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    *,
    x_label: str,
    y_label: str,
    alt: str,
    title: str = "",
    log_y: bool = False,
) -> Plot:
    """Draw plain lines without intervals, name → (x, y)."""
    figure, [axis] = _axes()
    for (name, (x, y)), style in _styled(series):
        axis.plot(x, y, label=name, lw=2, ms=5, markevery=max(1, len(x) // 12), **style)
    if log_y:
        axis.set_yscale("log")
        axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.yaxis.set_major_formatter("{x:g}")  # 0.2 reads better than 2×10⁻¹
        axis.yaxis.set_minor_formatter(NullFormatter())
    _label(axis, x_label, y_label, title)
    _legend(figure, axis)
    return Plot(figure, alt)


def scaling(
    points: Mapping[str, tuple[Sequence[float], Sequence[Interval]]],
    fits: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    *,
    x_label: str,
    y_label: str,
    alt: str,
    title: str = "",
) -> Plot:
    """Draw measured points and fitted curves on two logarithmic axes: a power law is straight.

    Args:
        points: name → (x, one interval per x); drawn without lines between them.
        fits: name → (x, y); drawn as a line without markers.
    """
    figure, [axis] = _axes()
    styled = _styled({**points, **fits})
    for (name, (x, intervals)), style in styled[: len(points)]:
        mean = [i.mean for i in intervals]
        error = [[i.mean - i.low for i in intervals], [i.high - i.mean for i in intervals]]
        look = {**style, "linestyle": ""}
        axis.errorbar(x, mean, error, label=name, capsize=3, markersize=7, **look)
    for (name, (x, y)), style in styled[len(points) :]:
        axis.plot(x, y, label=name, lw=2, **{**style, "marker": ""})
    axis.set(xscale="log", yscale="log")
    axis.xaxis.set_major_formatter("{x:,.0f}")
    axis.yaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
    axis.yaxis.set_major_formatter("{x:g}")
    axis.yaxis.set_minor_formatter(NullFormatter())
    _label(axis, x_label, y_label, title)
    _legend(figure, axis)
    return Plot(figure, alt)


def paths(
    surface: Callable[[np.ndarray, np.ndarray], np.ndarray],
    series: Mapping[str, np.ndarray],
    *,
    x_range: tuple[float, float],
    y_range: tuple[float, float],
    x_label: str,
    y_label: str,
    alt: str,
    title: str = "",
) -> Plot:
    """Draw paths over the contour lines of a surface, such as those of optimizers over a loss.

    Args:
        surface: the height at each point of two grids of coordinates, all of one shape.
        series: name of each path → its points in order, shape (steps, 2).
    """
    figure, [axis] = _axes(width=7, height=4.6)
    axis.grid(visible=False)
    x, y = np.meshgrid(np.linspace(*x_range, 200), np.linspace(*y_range, 200))
    height = surface(x, y)
    levels = height.min() + np.ptp(height) * np.linspace(0, 1, 12) ** 3  # denser near the lowest
    axis.contour(x, y, height, levels=levels, colors="gray", linewidths=0.7, alpha=0.7)
    for (name, points), style in _styled(series):
        axis.plot(points[:, 0], points[:, 1], label=name, lw=1.8, ms=5, **style)
    axis.set(xlim=x_range, ylim=y_range)
    _label(axis, x_label, y_label, title)
    axis.legend(fontsize=11, frameon=True)
    return Plot(figure, alt)


def history(found: "History", *, alt: str) -> Plot:
    """Draw the loss of each epoch, and beside it the validation accuracy when there is one."""
    has_accuracy = bool(found.val_accuracy)
    figure, axes = _axes(columns=2 if has_accuracy else 1, width=9 if has_accuracy else 6.4)
    epochs = range(1, found.epochs + 1)
    axes[0].plot(epochs, found.loss, label="training", lw=2, **STYLES[0])
    if found.val_loss:
        axes[0].plot(epochs, found.val_loss, label="validation", lw=2, **STYLES[1])
        axes[0].legend(fontsize=11, frameon=False)
    _label(axes[0], "epoch", "loss (nats per sample)")
    if has_accuracy:
        axes[1].plot(epochs, [100 * a for a in found.val_accuracy], lw=2, **STYLES[1])
        _label(axes[1], "epoch", "validation accuracy (%)")
    return Plot(figure, alt)


def images(
    x: Tensor | np.ndarray,
    captions: Sequence[str],
    *,
    alt: str,
    columns: int = 10,
    title: str = "",
    maps: Tensor | None = None,
) -> Plot:
    """Draw a grid of images, x of shape (N, C, H, W) with values in 0..1, each with its caption.

    Args:
        maps: heat maps to lay over the images, shape (N, H, W), values from 0 up, such as those of
            `transferlab.interpret.gradcam`. Each is scaled to its own largest value.
    """
    if len(x) != len(captions):
        raise InputError(f"{len(x)} images and {len(captions)} captions; expected one for each.")
    if maps is not None and len(maps) != len(x):
        raise InputError(f"{len(x)} images and {len(maps)} maps; expected one for each.")
    rows = -(-len(x) // columns)
    figure = Figure(figsize=(0.85 * columns, 1.05 * rows + 0.4 * bool(title)), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).flatten()
    for axis in grid:
        axis.axis("off")
    for axis, image, caption in zip(
        grid, torch.as_tensor(x).detach().cpu(), captions, strict=False
    ):
        picture = image[0] if len(image) == 1 else image.permute(1, 2, 0)
        axis.imshow(picture.numpy(), cmap="gray", vmin=0, vmax=1)
        axis.set_title(caption, fontsize=11, pad=2)
    for axis, heat in zip(grid, [] if maps is None else maps.detach().cpu(), strict=False):
        axis.imshow(heat.numpy(), cmap="inferno", alpha=0.6, vmin=0, vmax=float(heat.max()) or 1)
    if title:
        figure.suptitle(title, fontsize=13)
    return Plot(figure, alt)


def boxes(
    x: Tensor,
    found: Sequence[Mapping[str, Tensor]] | None,
    truth: Sequence[Mapping[str, Tensor]] | None,
    classes: Sequence[str],
    *,
    alt: str,
    columns: int = 4,
    title: str = "",
) -> Plot:
    """Draw the boxes that a detector found, solid and with names, over the true ones, dashed.

    Args:
        x: images, shape (N, C, H, W), values in 0..1.
        found: for each image boxes (D, 4) in pixels, labels (D,) and scores (D,); None draws the
            true boxes alone, with their names.
        truth: for each image boxes and labels; None where nobody knows.
        classes: the name of each label.
    """
    for name, entries in (("found", found), ("truth", truth)):
        if entries is not None and len(entries) != len(x):
            raise InputError(
                f"{len(x)} images and {len(entries)} entries of {name}; expected one for each."
            )
    figure, grid = _tiles(-(-len(x) // columns), min(columns, len(x)), 2.1, title)
    looks = {
        "true": (truth, {"color": "white", "linestyle": "--"}),
        "found": (found, {"color": STYLES[4]["color"], "linestyle": "-"}),
    }
    drawn = {name: look for name, look in looks.items() if look[0] is not None}
    for name, (entries, look) in drawn.items():
        named = found is None or name == "found"
        for axis, entry in zip(grid, entries, strict=False):
            _outline(axis, entry, classes if named else None, look)
    for axis, image in zip(grid, x, strict=False):
        _picture(axis, image)
    handles = [Patch(fill=False, lw=2, label=name, **look) for name, (_, look) in drawn.items()]
    figure.legend(
        handles=handles, loc="outside lower center", ncols=2, fontsize=11, facecolor="gray"
    )
    return Plot(figure, alt)


def _outline(
    axis: Axes, entry: Mapping[str, Tensor], classes: Sequence[str] | None, look: dict[str, str]
) -> None:
    """Draw the boxes of one image; with `classes`, write name and score at each."""
    paper = {"facecolor": look["color"], "edgecolor": "none", "pad": 0.8}
    scores = entry.get("scores")
    for number, (box, label) in enumerate(
        zip(entry["boxes"].tolist(), entry["labels"].tolist(), strict=True)
    ):
        x1, y1, x2, y2 = (edge - 0.5 for edge in box)  # imshow puts the middle of pixel 0 at 0
        axis.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, lw=2, **look))
        if classes is not None:
            text = classes[label] + ("" if scores is None else f" {scores[number]:.2f}")
            side = "top" if y1 < 1 else "bottom"  # at the upper edge there is no room above
            axis.text(x1, y1, text, fontsize=9, va=side, bbox=paper, clip_on=True)


def _tiles(rows: int, columns: int, side: float, title: str) -> tuple[Figure, list[Axes]]:
    """Return a grid of empty places for pictures, each `side` inches wide."""
    size = (side * columns, side * rows + 0.4 + 0.4 * bool(title))
    figure = Figure(figsize=size, layout="constrained")
    grid = list(figure.subplots(rows, columns, squeeze=False).flatten())
    for axis in grid:
        axis.axis("off")
    if title:
        figure.suptitle(title, fontsize=13)
    return figure, grid


def _picture(axis: Axes, image: Tensor) -> None:
    picture = image[0] if len(image) == 1 else image.permute(1, 2, 0)
    axis.imshow(picture.detach().cpu().numpy(), cmap="gray", vmin=0, vmax=1)


# Background first, in a pale grey; then Okabe and Ito's other colours.
MASK_COLORS = ("#E8E8E8", *(style["color"] for style in STYLES), "#F0E442")


def masks(
    x: Tensor, rows: Mapping[str, Tensor], classes: Sequence[str], *, alt: str, title: str = ""
) -> Plot:
    """Draw images, and below them one row of class maps per entry, such as truth and prediction.

    Each region of ten pixels or more also carries the number of its class, for those who cannot
    tell the colours.

    Args:
        x: images, shape (N, C, H, W), values in 0..1.
        rows: name of each row → the class of each pixel, shape (N, H, W).
        classes: the names of at most 8 classes, the background first.
    """
    if len(classes) > len(MASK_COLORS):
        raise InputError(f"{len(classes)} classes; expected at most {len(MASK_COLORS)}.")
    for name, values in rows.items():
        if values.shape != (len(x), *x.shape[2:]):
            raise InputError(
                f"the maps of {name!r} have the shape {tuple(values.shape)}; expected "
                f"{(len(x), *x.shape[2:])}, as the images."
            )
        if values.min() < 0 or values.max() >= len(classes):
            raise InputError(
                f"the maps of {name!r} hold classes {int(values.min())} to {int(values.max())}; "
                f"expected 0 to {len(classes) - 1}."
            )
    figure, grid = _tiles(1 + len(rows), len(x), max(1.25, 7 / len(x)), title)  # room for the names
    for axis, image in zip(grid, x, strict=False):
        _picture(axis, image)
    colours = ListedColormap(MASK_COLORS[: len(classes)])
    for row, values in enumerate(rows.values(), start=1):
        for axis, seen in zip(grid[row * len(x) :], values.cpu().numpy(), strict=False):
            axis.imshow(seen, cmap=colours, vmin=-0.5, vmax=len(classes) - 0.5)
            for region in regionprops(measure_label(seen, background=0)):
                middle = region.coords[len(region.coords) // 2]  # a pixel of it, even of a ring
                if region.area >= 10:
                    number = str(seen[tuple(middle)])
                    axis.text(*middle[::-1], number, ha="center", va="center", fontsize=9)
    for row, name in enumerate(["image", *rows]):
        grid[row * len(x)].annotate(
            name, (-0.08, 0.5), None, "axes fraction", rotation=90, ha="right", va="center"
        )
    handles = [
        Patch(color=color, label=f"{number} {name}")
        for number, (color, name) in enumerate(zip(MASK_COLORS, classes, strict=False))
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, fontsize=10, frameon=False)
    return Plot(figure, alt)


def spectrograms(x: Tensor, captions: Sequence[str], seconds: float, *, alt: str) -> Plot:
    """Draw spectrograms, shape (N, 1, mels, frames) with values in 0..1, three in a row.

    Args:
        seconds: how long each of them lasts.
    """
    if len(x) != len(captions):
        raise InputError(f"{len(x)} spectrograms and {len(captions)} captions; expected as many.")
    rows = -(-len(x) // 3)
    figure = Figure(figsize=(8, 0.4 + 2 * rows), layout="constrained")
    grid = figure.subplots(rows, 3, squeeze=False, sharex=True, sharey=True)
    for axis in grid.flat[len(x) :]:
        axis.set_visible(False)
    for axis, picture, caption in zip(grid.flat, x.detach().cpu(), captions, strict=False):
        # Band 1, the lowest, belongs to the bottom.
        place = (0, seconds, 0.5, len(picture[0]) + 0.5)
        look = {"cmap": "magma", "vmin": 0, "vmax": 1, "aspect": "auto", "origin": "lower"}
        axis.imshow(picture[0].numpy(), extent=place, **look)
        axis.set_title(caption, fontsize=12, pad=3)
    figure.supxlabel("time (s)", fontsize=12)
    figure.supylabel("mel band", fontsize=12)
    return Plot(figure, alt)


def confusion(found: Evaluation, *, alt: str, title: str = "") -> Plot:
    """Draw a confusion matrix: rows are true classes, columns what the model said."""
    counts = found.confusion.numpy()
    side = 2.2 + 0.42 * len(counts)
    figure, [axis] = _axes(width=side + 0.6, height=side)
    axis.grid(visible=False)
    axis.imshow(counts, cmap="Blues")
    axis.set_xticks(range(len(counts)), labels=found.classes, rotation=45, ha="right")
    axis.set_yticks(range(len(counts)), labels=found.classes)
    for row, column in np.argwhere(counts > 0):
        dark = counts[row, column] > counts.max() / 2
        axis.text(
            column,
            row,
            str(counts[row, column]),
            ha="center",
            va="center",
            fontsize=9,
            color="white" if dark else "black",
        )
    _label(axis, "predicted class", "true class", title)
    return Plot(figure, alt)


def matrix(
    values: Tensor | np.ndarray,
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    x_label: str,
    y_label: str,
    alt: str,
    title: str = "",
) -> Plot:
    """Draw a table of numbers from 0 to 1 as a heat map, such as the similarity of layers.

    Args:
        values: shape (len(rows), len(columns)).
    """
    values = np.asarray(values)
    if values.shape != (len(rows), len(columns)):
        raise InputError(
            f"a matrix of shape {values.shape} with {len(rows)} row names and {len(columns)} "
            "column names; expected a name for each."
        )
    figure, [axis] = _axes(width=2.6 + 0.62 * len(columns), height=2.2 + 0.42 * len(rows))
    axis.grid(visible=False)
    axis.imshow(values, cmap="viridis", vmin=0, vmax=1, aspect="auto")
    axis.set_xticks(range(len(columns)), labels=columns, rotation=45, ha="right")
    axis.set_yticks(range(len(rows)), labels=rows)
    for (row, column), value in np.ndenumerate(values):
        color = "black" if value > 0.6 else "white"
        axis.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=9, color=color)
    _label(axis, x_label, y_label, title)
    return Plot(figure, alt)


def roc(
    series: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    *,
    alt: str,
    title: str = "",
    log: bool = True,
    mark_fpr: float | None = None,
) -> Plot:
    """Draw ROC curves, name → (false positive rates, true positive rates).

    Args:
        log: logarithmic axes. On plain axes the corner that matters in privacy, few false alarms,
            cannot be seen.
        mark_fpr: a dotted line at this false positive rate, where curves are to be compared.
    """
    figure, [axis] = _axes(width=5.2, height=4.6)
    smallest = 1e-3 if log else 0.0
    for (name, (fpr, tpr)), style in _styled(series):
        fpr, tpr = (np.clip(rates, smallest, 1) for rates in (fpr, tpr))
        axis.plot(fpr, tpr, label=name, lw=2, ms=5, markevery=max(1, len(fpr) // 12), **style)
    axis.plot([smallest, 1], [smallest, 1], color="gray", lw=1, label="guessing")
    if mark_fpr is not None:
        axis.axvline(mark_fpr, color="black", lw=1, ls=":", label=f"{mark_fpr:.0%} false alarms")
    if log:
        axis.set(xscale="log", yscale="log")
    _label(axis, "false positive rate", "true positive rate", title)
    axis.legend(fontsize=11, frameon=False)
    return Plot(figure, alt)


def ranking(
    names: Sequence[str],
    panels: Mapping[str, Sequence[Interval]],
    *,
    noise: Mapping[str, Sequence[Interval]],
    alt: str,
) -> Plot:
    """Draw one row per model and one panel per measure; where noise was measured, it is grey.

    Args:
        names: the models, from top to bottom.
        panels: name of each measure → one interval per model.
        noise: name of a measure → what it says about noise, one interval per model.
    """
    figure, axes = _axes(len(panels), width=1.6 + 2 * len(panels), height=1.4 + 0.4 * len(names))
    rows = range(len(names))
    for axis, (measure, found) in zip(axes, panels.items(), strict=True):
        for values, style in (
            (noise.get(measure, []), {"color": "gray", "marker": "x", "label": "noise"}),
            (found, {"color": STYLES[0]["color"], "marker": "o", "label": "measured"}),
        ):
            mean = [i.mean for i in values]
            errors = [[i.mean - i.low for i in values], [i.high - i.mean for i in values]]
            if mean:
                axis.errorbar(mean, rows, xerr=errors, linestyle="", capsize=3, **style)
        axis.set_yticks(rows, labels=names if axis is axes[0] else [])
        axis.set_ylim(len(names) - 0.5, -0.5)  # the first on top, as in the table
        axis.margins(x=0.12)
        _label(axis, measure, "")
    if noise:
        handles, labels = axes[list(panels).index(next(iter(noise)))].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper right", ncols=2, frameon=False)
    return Plot(figure, alt)
