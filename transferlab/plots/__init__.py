"""All figures: safe for colour-blind readers, with units, intervals and alternative text."""

from transferlab.plots import diagrams
from transferlab.plots.figure import Plot
from transferlab.plots.pictures import boxes, confusion, images, masks, matrix, spectrograms
from transferlab.plots.series import (
    bars,
    curves,
    history,
    lines,
    paths,
    ranking,
    roc,
    scaling,
    scatter,
)

__all__ = [
    "Plot",
    "bars",
    "boxes",
    "confusion",
    "curves",
    "diagrams",
    "history",
    "images",
    "lines",
    "masks",
    "matrix",
    "paths",
    "ranking",
    "roc",
    "scaling",
    "scatter",
    "spectrograms",
]
