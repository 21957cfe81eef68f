"""Figures of images: grids, boxes, masks, spectrograms, and tables of numbers as heat maps."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from matplotlib.patheffects import withStroke
from torch import Tensor

from transferlab.data.dataset import as_float
from transferlab.errors import InputError
from transferlab.metrics import Evaluation
from transferlab.plots.figure import STYLES, Plot, label_axes, make_axes


def images(
    x: Tensor | np.ndarray,
    captions: Sequence[str],
    *,
    alt: str,
    columns: int = 10,
    title: str = "",
    maps: Tensor | None = None,
    tile: float = 0.85,
) -> Plot:
    """Draw a grid of images, each with its caption; x: (N, C, H, W), uint8 or values in 0..1.

    Args:
        tile: the width of an image with its margin, in inches.
        maps: heat maps to lay over the images, shape (N, H, W), values from 0 up, such as those of
            `transferlab.interpret.grad_cam`. Each is scaled to its own largest value.
    """
    if len(x) != len(captions):
        raise InputError(f"{len(x)} images and {len(captions)} captions; expected one for each.")
    if maps is not None and len(maps) != len(x):
        raise InputError(f"{len(x)} images and {len(maps)} maps; expected one for each.")
    rows = -(-len(x) // columns)
    figure = Figure((tile * columns, (tile + 0.2) * rows + 0.4 * bool(title)), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).flatten()
    for axis in grid:
        axis.axis("off")
    for axis, image, caption in zip(grid, as_float(torch.as_tensor(x)), captions, strict=False):
        _picture(axis, image)
        axis.set_title(caption, fontsize=11, pad=2)
    for axis, heat in zip(grid, [] if maps is None else maps.detach().cpu(), strict=False):
        axis.imshow(heat.numpy(), cmap="inferno", alpha=0.6, vmin=0, vmax=float(heat.max()) or 1)
    if title:
        figure.suptitle(title, fontsize=13)
    return Plot(figure, alt)


def boxes(
    x: Tensor,
    predicted: Sequence[Mapping[str, Tensor]] | None,
    truth: Sequence[Mapping[str, Tensor]] | None,
    classes: Sequence[str],
    *,
    alt: str,
    columns: int = 4,
    title: str = "",
) -> Plot:
    """Draw the boxes that a detector predicts, solid and with names, over the true ones, dashed.

    Args:
        x: images, shape (N, C, H, W), values in 0..1.
        predicted: for each image boxes (D, 4) in pixels, labels (D,) and scores (D,); None draws
            the true boxes alone, with their names.
        truth: for each image boxes and labels; None where they are unknown.
        classes: the name of each label.
    """
    for name, entries in (("predicted", predicted), ("truth", truth)):
        if entries is not None and len(entries) != len(x):
            raise InputError(
                f"{len(x)} images and {len(entries)} entries of {name}; expected one for each."
            )
    figure, grid = _tiles(-(-len(x) // columns), min(columns, len(x)), 2.1, title)
    # A rim in the opposite brightness: one of the two is visible on any ground.
    styles = {
        "true": {"color": "black", "linestyle": "--", "path_effects": [_rim("white")]},
        "found": {"color": STYLES[4]["color"], "linestyle": "-", "path_effects": [_rim("black")]},
    }
    given = {"true": truth, "found": predicted}
    drawn = {name: entries for name, entries in given.items() if entries is not None}
    for name, entries in drawn.items():
        is_named = (
            predicted is None or name == "found"
        )  # two names at one box would hide each other
        for axis, entry, image in zip(grid, entries, x, strict=False):
            _outline(axis, entry, classes if is_named else None, styles[name], image.shape[-1])
    for axis, image in zip(grid, x, strict=False):
        _picture(axis, image)
    handles = [Patch(fill=False, lw=2, label=name, **styles[name]) for name in drawn]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, fontsize=11)
    return Plot(figure, alt)


def _rim(color: str) -> withStroke:
    return withStroke(linewidth=4, foreground=color)


def _outline(
    axis: Axes,
    entry: Mapping[str, Tensor],
    classes: Sequence[str] | None,
    style: dict[str, Any],
    size: int,
) -> None:
    """Draw the boxes of an image `size` pixels wide; with `classes`, write name and score at each.

    Names do not cover each other while there is room.
    """
    background = {"facecolor": "white", "edgecolor": style["color"], "pad": 0.8}
    scores, taken = entry.get("scores"), []
    for number, (box, label) in enumerate(
        zip(entry["boxes"].tolist(), entry["labels"].tolist(), strict=True)
    ):
        x1, y1, x2, y2 = (edge - 0.5 for edge in box)  # imshow puts the middle of pixel 0 at 0
        axis.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, lw=2, **style))
        if classes is not None:
            text = classes[label] + ("" if scores is None else f" {scores[number]:.2f}")
            width, height = size * 0.036 * (len(text) + 1), size * 0.09  # of 9 points on a tile
            left, top = _free_place((x1, y1, x2, y2), width, height, size, taken)
            taken.append((left, top))
            axis.text(left, top, text, fontsize=9, va="top", bbox=background, clip_on=True)


def _free_place(
    box: tuple[float, ...], width: float, height: float, size: int, taken: Sequence[tuple]
) -> tuple[float, float]:
    """Return the upper left corner of a name at a box, off the names that stand there already."""
    x1, y1, x2, y2 = box
    places = [
        (min(max(left, 0), size - width), min(max(top, 0), size - height))
        for top in (y1 - height, y2, y1, y2 - height)
        for left in (x1, x2 - width)
    ]
    for left, top in places:
        if all(abs(left - x) >= width or abs(top - y) >= height for x, y in taken):
            return left, top
    return places[0]


def _tiles(rows: int, columns: int, side: float, title: str) -> tuple[Figure, list[Axes]]:
    """Return a grid of axes without frames for pictures, each `side` inches wide."""
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


# The background first, in a pale grey; then the colours of Okabe and Ito.
MASK_COLOURS = ("#E8E8E8", *(style["color"] for style in STYLES), "#F0E442")


def masks(
    x: Tensor, rows: Mapping[str, Tensor], classes: Sequence[str], *, alt: str, title: str = ""
) -> Plot:
    """Draw images, and below them one row of class maps per entry, such as truth and prediction.

    Each region of ten pixels or more also carries the number of its class, for readers who cannot
    tell the colours apart.

    Args:
        x: images, shape (N, C, H, W), values in 0..1.
        rows: name of each row → the class of each pixel, shape (N, H, W).
        classes: the names of at most 8 classes, the background first.
    """
    if len(classes) > len(MASK_COLOURS):
        raise InputError(f"{len(classes)} classes; expected at most {len(MASK_COLOURS)}.")
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
    from skimage.measure import label, regionprops  # here, because it takes long to import

    figure, grid = _tiles(1 + len(rows), len(x), max(1.25, 7 / len(x)), title)  # room for the names
    for axis, image in zip(grid, x, strict=False):
        _picture(axis, image)
    colours = ListedColormap(MASK_COLOURS[: len(classes)])
    for row, values in enumerate(rows.values(), start=1):
        for axis, class_map in zip(grid[row * len(x) :], values.cpu().numpy(), strict=False):
            axis.imshow(class_map, cmap=colours, vmin=-0.5, vmax=len(classes) - 0.5)
            for region in regionprops(label(class_map, background=0)):
                middle = region.coords[len(region.coords) // 2]  # lies inside, even of a ring
                if region.area >= 10:
                    number = str(class_map[tuple(middle)])
                    axis.text(*middle[::-1], number, ha="center", va="center", fontsize=9)
    for row, name in enumerate(["image", *rows]):
        grid[row * len(x)].annotate(
            name, (-0.08, 0.5), None, "axes fraction", rotation=90, ha="right", va="center"
        )
    handles = [
        Patch(color=colour, label=f"{number} {name}")
        for number, (colour, name) in enumerate(zip(MASK_COLOURS, classes, strict=False))
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, fontsize=10, frameon=False)
    return Plot(figure, alt)


def spectrograms(x: Tensor, captions: Sequence[str], seconds: float, *, alt: str) -> Plot:
    """Draw spectrograms, shape (N, 1, mels, frames) with values in 0..1, three in a row.

    Args:
        seconds: how long each of them lasts.
    """
    if len(x) != len(captions):
        raise InputError(
            f"{len(x)} spectrograms and {len(captions)} captions; expected one for each."
        )
    rows = -(-len(x) // 3)
    figure = Figure(figsize=(8, 0.4 + 2 * rows), layout="constrained")
    grid = figure.subplots(rows, 3, squeeze=False, sharex=True, sharey=True)
    for axis in grid.flat[len(x) :]:
        axis.set_visible(False)
    for axis, picture, caption in zip(grid.flat, x.detach().cpu(), captions, strict=False):
        # Band 1, the lowest frequencies, belongs at the bottom.
        extent = (0, seconds, 0.5, len(picture[0]) + 0.5)
        style = {"cmap": "magma", "vmin": 0, "vmax": 1, "aspect": "auto", "origin": "lower"}
        axis.imshow(picture[0].numpy(), extent=extent, **style)
        axis.set_title(caption, fontsize=12, pad=3)
    figure.supxlabel("time (s)", fontsize=12)
    figure.supylabel("mel band", fontsize=12)
    return Plot(figure, alt)


def confusion(evaluation: Evaluation, *, alt: str, title: str = "") -> Plot:
    """Draw a confusion matrix: rows are true classes, columns predicted ones."""
    counts = evaluation.confusion.numpy()
    side = 2.2 + 0.42 * len(counts)
    figure, [axis] = make_axes(width=side + 0.6, height=side)
    axis.grid(visible=False)
    axis.imshow(counts, cmap="Blues")
    axis.set_xticks(range(len(counts)), labels=evaluation.classes, rotation=45, ha="right")
    axis.set_yticks(range(len(counts)), labels=evaluation.classes)
    for row, column in np.argwhere(counts > 0):
        is_dark = counts[row, column] > counts.max() / 2
        axis.text(
            column,
            row,
            str(counts[row, column]),
            ha="center",
            va="center",
            fontsize=9,
            color="white" if is_dark else "black",
        )
    label_axes(axis, "predicted class", "true class", title)
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
    figure, [axis] = make_axes(width=2.6 + 0.62 * len(columns), height=2.2 + 0.42 * len(rows))
    axis.grid(visible=False)
    axis.imshow(values, cmap="viridis", vmin=0, vmax=1, aspect="auto")
    axis.set_xticks(range(len(columns)), labels=columns, rotation=45, ha="right")
    axis.set_yticks(range(len(rows)), labels=rows)
    for (row, column), value in np.ndenumerate(values):
        ink = "black" if value > 0.6 else "white"  # viridis is light at its upper end
        axis.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=9, color=ink)
    label_axes(axis, x_label, y_label, title)
    return Plot(figure, alt)
