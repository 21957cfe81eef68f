"""What every benchmark shares: the table, the figure of ratios, the JSON file, the machine."""

import json
import math
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from rich.console import Console
from rich.table import Table
from workers import FOLDER

from transferlab.device import cpu_quota
from transferlab.metrics import Interval, interval
from transferlab.plots.figure import STYLES, Plot

LIBRARIES = ("torch", "torchvision", "lightning", "fastai", "skorch", "keras", "numpy")


def facts() -> dict[str, Any]:
    """Return what a reader must know of the machine; not its name."""
    return {
        "cores": cpu_quota(),
        "processor": _processor(),
        "system": platform.system(),
        "python": platform.python_version(),
        **{name: _version(name) for name in LIBRARIES},
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def busy() -> str:
    """Warn when other programs are at work: then the seconds are too long, the ratios noisy."""
    load = os.getloadavg()[0]
    return f"The load is {load:.1f} on {cpu_quota():g} cores: not quiet." if load > 0.5 else ""


@dataclass
class Runs:
    """The seconds of one row, one number per round, and what its checks found.

    Attributes:
        seconds: wall time of each round.
        accuracy: accuracy of each round on data that was not trained on, 0..1.
        notes: what a check found wrong.
    """

    seconds: list[float] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def ratios(rows: Mapping[str, Runs], reference: str) -> dict[str, list[float]]:
    """Return each row's seconds over the reference's of the same round: what slows a whole round
    down slows both."""
    base = rows[reference].seconds
    return {
        name: [mine / other for mine, other in zip(runs.seconds, base, strict=True)]
        for name, runs in rows.items()
    }


def spread(values: Sequence[float]) -> Interval:
    """Return the geometric mean of the rounds' ratios with its 95 % interval.

    On a logarithmic scale half as long and twice as long are equally far from 1. A single round
    has no interval.
    """
    if len(values) == 1:
        return Interval(values[0], values[0], values[0], 1)
    logs = interval([math.log(value) for value in values])
    return Interval(*(math.exp(end) for end in (logs.mean, logs.low, logs.high)), logs.n)


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table, with lines in a terminal and plain elsewhere."""
    console = Console(width=None if Console().is_terminal else 120)
    grid = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for number, column in enumerate(columns):
        grid.add_column(column, justify="left" if number == 0 else "right")
    for row in rows:
        grid.add_row(*row)
    console.print(grid)
    console.print()


def timing_table(title: str, rows: Mapping[str, Runs], reference: str) -> None:
    """Print seconds, ratios and accuracies; the rows in the order of their speed."""
    times = {name: spread(values) for name, values in ratios(rows, reference).items()}
    body = []
    for name in sorted(rows, key=lambda name: times[name].mean):
        runs, ratio = rows[name], times[name]
        body.append(
            (
                name,
                f"{min(runs.seconds):.2f}",
                f"{statistics.median(runs.seconds):.2f}",
                f"{ratio.mean:.3g}",
                f"{ratio.low:.3g} to {ratio.high:.3g}" if ratio.n > 1 else "one round",
                f"{100 * statistics.mean(runs.accuracy):.1f} %",
                "; ".join(runs.notes) or "ok",
            )
        )
    columns = ("", "min s", "median s", "ratio", "95 % interval", "accuracy", "checks")
    table(title, columns, body)


def ratio_figure(panels: Mapping[str, Mapping[str, Sequence[float]]], against: str) -> Plot:
    """Draw every row's ratio with its interval, one panel per task, on a logarithmic axis.

    Args:
        panels: task → row → ratios, one per round.
        against: what a ratio of 1 means.
    """
    sizes = [len(rows) for rows in panels.values()]
    figure = Figure(figsize=(7.2, 0.9 * len(sizes) + 0.3 * sum(sizes)), layout="constrained")
    axes = figure.subplots(len(sizes), 1, squeeze=False, height_ratios=sizes, sharex=True)[:, 0]
    said = []
    for axis, (task, rows) in zip(axes, panels.items(), strict=True):
        found = sorted(
            ((name, spread(values)) for name, values in rows.items()), key=lambda row: row[1].mean
        )
        for place, (name, ratio) in enumerate(found):
            style = STYLES[0 if name.startswith("TransferLab") else 1]
            error = [[ratio.mean - ratio.low], [ratio.high - ratio.mean]]
            look = {"color": style["color"], "marker": style["marker"], "capsize": 3}
            axis.errorbar(ratio.mean, place, xerr=error, linestyle="none", **look)
            end = (ratio.high, place)
            axis.annotate(f"{ratio.mean:.3g}", end, (6, 0), "data", "offset points", va="center")
        said.append(f"{task}: " + ", ".join(f"{name} {r.mean:.3g}" for name, r in found) + ".")
        axis.axvline(1, color="0.4", linewidth=1)
        axis.set_yticks(range(len(rows)), labels=[name for name, _ in found])
        axis.set_ylim(len(found) - 0.5, -0.5)  # the first row on top, as in the table
        axis.set_xscale("log")
        axis.margins(x=0.12)
        axis.set_title(task, fontsize=12, loc="left")
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(alpha=0.25)
    axes[-1].xaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
    axes[-1].xaxis.set_major_formatter("{x:g}")
    axes[-1].xaxis.set_minor_formatter(NullFormatter())
    axes[-1].set_xlabel(f"time, as a multiple of that of {against}")
    return Plot(figure, f"Time as a multiple of that of {against}. {' '.join(said)}")


def write(name: str, content: Any, plot: Plot | None = None) -> None:
    """Write `build/bench/<name>.json` with the machine's facts, and the figure beside it."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{name}.json"
    part = path.with_suffix(".part")
    part.write_text(json.dumps({"machine": facts(), "found": content}, indent=1) + "\n")
    part.replace(path)
    print(f"Written: {path}")
    if plot is not None:
        plot.save(path.with_suffix(".png"))
        path.with_suffix(".txt").write_text(plot.alt + "\n")
        print(f"Written: {path.with_suffix('.png')}, and what it shows in {name}.txt")
