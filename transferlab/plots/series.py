"""Figures of numbers: curves, bars, points and lines, with their intervals."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter
from matplotlib.transforms import ScaledTranslation

from transferlab.errors import InputError
from transferlab.history import History
from transferlab.metrics import Interval, interval
from transferlab.plots.figure import (
    MARKERS,
    STYLES,
    Plot,
    add_legend,
    label_axes,
    make_axes,
    styled,
)
from transferlab.select import Ranking


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
    figure, [axis] = make_axes()
    for (name, intervals), style in styled(series):
        mean, errors = _with_errors(intervals)
        low, high = [i.low for i in intervals], [i.high for i in intervals]
        axis.fill_between(x, low, high, color=style["color"], alpha=0.15, linewidth=0)
        axis.errorbar(x, mean, errors, label=name, capsize=3, lw=2, clip_on=False, **style)
    if log_x:
        axis.set_xscale("log")
        axis.set_xticks(list(x), labels=[f"{value:g}" for value in x])
        axis.minorticks_off()
    elif all(float(value).is_integer() for value in x):
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))  # there is no block 1.5
    label_axes(axis, x_label, y_label, title)
    add_legend(figure, axis)
    return Plot(figure, alt)


def bars(
    values: Mapping[str, Interval], *, x_label: str, alt: str, title: str = "", zero: bool = True
) -> Plot:
    """Draw one horizontal bar per entry, with its interval and its number.

    Args:
        zero: start the axis at zero; False draws points, on a range that the data need.
    """
    figure, [axis] = make_axes(height=1.2 + 0.5 * len(values))
    names, intervals = list(values), list(values.values())
    mean, errors = _with_errors(intervals)
    look = {"xerr": errors, "color": STYLES[0]["color"], "capsize": 4}
    if zero:
        axis.barh(names, mean, **look, alpha=0.6, height=0.6)
    else:  # the length of a bar that begins elsewhere would mean nothing
        axis.errorbar(mean, names, **look, fmt="o")
    axis.invert_yaxis()  # the first entry on top, as in the table
    for row, entry in enumerate(intervals):
        place = (max(entry.high, 0), row)
        axis.annotate(f"{entry.mean:.1f}", place, (6, 0), "data", "offset points", va="center")
    axis.margins(x=0.12, y=0.5 / len(values))
    label_axes(axis, x_label, "", title)
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

    Points with the same x would hide each other, so they are moved apart a little.
    """
    if len(points) > len(MARKERS):
        raise InputError(f"{len(points)} points in one figure; expected at most {len(MARKERS)}.")
    figure, [axis] = make_axes(width=8)
    if log_x:
        axis.set_xscale("log")
    places = [x for x, _ in points.values()]
    for number, (name, (x, y)) in enumerate(points.items()):
        left = places[:number].count(x) - (places.count(x) - 1) / 2  # 3 points: -1, 0, 1
        beside = ScaledTranslation(9 * left / 72, 0, figure.dpi_scale_trans)  # 9 typographic points
        axis.errorbar(
            x,
            *_with_errors([y]),
            label=name,
            transform=axis.transData + beside,
            color=STYLES[number % len(STYLES)]["color"],
            marker=MARKERS[number],
            markersize=7,
            linestyle="",
            capsize=3,
        )
        axis.update_datalim([(x, y.low), (x, y.high)])  # autoscaling ignores a moved point
    axis.margins(x=0.12)
    axis.autoscale_view()
    label_axes(axis, x_label, y_label, title)
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
    figure, [axis] = make_axes()
    for (name, (x, y)), style in styled(series):
        axis.plot(x, y, label=name, lw=2, ms=5, markevery=max(1, len(x) // 12), **style)
    if log_y:
        axis.set_yscale("log")
        axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.yaxis.set_major_formatter("{x:g}")  # 0.2 reads better than 2×10⁻¹
        axis.yaxis.set_minor_formatter(NullFormatter())
    label_axes(axis, x_label, y_label, title)
    add_legend(figure, axis)
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
    figure, [axis] = make_axes()
    all_styled = styled({**points, **fits})
    for (name, (x, intervals)), style in all_styled[: len(points)]:
        mean, errors = _with_errors(intervals)
        unjoined = {**style, "linestyle": ""}
        axis.errorbar(x, mean, errors, label=name, capsize=3, markersize=7, **unjoined)
    for (name, (x, y)), style in all_styled[len(points) :]:
        axis.plot(x, y, label=name, lw=2, **{**style, "marker": ""})
    axis.set(xscale="log", yscale="log")
    axis.xaxis.set_major_formatter("{x:,.0f}")
    axis.yaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
    axis.yaxis.set_major_formatter("{x:g}")
    axis.yaxis.set_minor_formatter(NullFormatter())
    label_axes(axis, x_label, y_label, title)
    add_legend(figure, axis)
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

    Both axes have one scale. A cross marks the lowest point, and the first path lies on top.

    Args:
        surface: the height at each point of two grids of coordinates, all of one shape.
        series: name of each path → its points in order, shape (steps, 2).
    """
    figure, [axis] = make_axes(width=7, height=4.6)
    axis.grid(visible=False)
    x, y = np.meshgrid(np.linspace(*x_range, 200), np.linspace(*y_range, 200))
    height = surface(x, y)
    levels = height.min() + np.ptp(height) * np.linspace(0, 1, 12) ** 3  # denser near the lowest
    axis.contour(x, y, height, levels=levels, colors="gray", linewidths=0.7, alpha=0.7)
    for number, ((name, points), style) in enumerate(styled(series)):
        apart = {"markevery": 0.05, "zorder": 3 - 0.1 * number}  # markers by distance, not by step
        axis.plot(points[:, 0], points[:, 1], label=name, lw=1.5, ms=5, **style, **apart)
    lowest = np.unravel_index(height.argmin(), height.shape)
    axis.plot(x[lowest], y[lowest], "k+", ms=14, mew=2, zorder=4, label="minimum")
    axis.set(xlim=x_range, ylim=y_range, aspect="equal")
    label_axes(axis, x_label, y_label, title)
    add_legend(figure, axis)
    return Plot(figure, alt)


def history(run: History, *, alt: str, y_label: str = "loss (nats per sample)") -> Plot:
    """Draw the loss of each epoch, and beside it the validation accuracy when there is one."""
    has_accuracy = bool(run.val_accuracy)
    figure, axes = make_axes(columns=2 if has_accuracy else 1, width=9 if has_accuracy else 6.4)
    epochs = range(1, run.epochs + 1)
    axes[0].plot(epochs, run.loss, label="training", lw=2, **STYLES[0])
    if run.val_loss:
        axes[0].plot(epochs, run.val_loss, label="validation", lw=2, **STYLES[1])
        axes[0].legend(fontsize=11, frameon=False)
    label_axes(axes[0], "epoch", y_label)
    if has_accuracy:
        axes[1].plot(epochs, [100 * a for a in run.val_accuracy], lw=2, **STYLES[1])
        label_axes(axes[1], "epoch", "validation accuracy (%)")
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
        log: logarithmic axes. On linear axes the corner that matters in privacy, few false alarms,
            is invisible.
        mark_fpr: a dotted line at this false positive rate, where curves are to be compared.
    """
    figure, [axis] = make_axes(width=5.2, height=4.6)
    smallest = 1e-3 if log else 0.0
    for (name, (fpr, tpr)), style in styled(series):
        fpr, tpr = (np.clip(rates, smallest, 1) for rates in (fpr, tpr))
        axis.plot(fpr, tpr, label=name, lw=2, ms=5, markevery=max(1, len(fpr) // 12), **style)
    axis.plot([smallest, 1], [smallest, 1], color="gray", lw=1, label="guessing")
    if mark_fpr is not None:
        axis.axvline(mark_fpr, color="black", lw=1, ls=":", label=f"{mark_fpr:.0%} false alarms")
    if log:
        axis.set(xscale="log", yscale="log")
    label_axes(axis, "false positive rate", "true positive rate", title)
    axis.legend(fontsize=11, frameon=False)
    return Plot(figure, alt)


def ranking(
    models: Ranking | Sequence[str],
    panels: Mapping[str, Sequence[Interval]] | None = None,
    *,
    noise: Mapping[str, Sequence[Interval]] | None = None,
    alt: str,
) -> Plot:
    """Draw one row per model and one panel per measure; where noise was measured, it is grey.

    >>> plots.ranking(rank_models(models, train), alt="…")
    >>> plots.ranking(["scratch", "fine-tuned"], {"mAP (%)": [a, b], "IoU (%)": [c, d]}, alt="…")

    Args:
        models: the result of `rank_models`, which brings its own panels and noise: the
            fine-tuned accuracy first, then the scores, each with its Kendall τ. Or the names of
            the models, from top to bottom.
        panels: for names: each measure → one interval per model.
        noise: for names: measure → what it says about noise, one interval per model.
    """
    if isinstance(models, Ranking) == bool(panels):
        raise InputError(
            f"plots.ranking: found {type(models).__name__} with {len(panels or {})} panels; "
            "expected a Ranking alone, or names and their panels."
        )
    if isinstance(models, Ranking):
        names, (panels, noise) = models.order, _panels_of(models)
    else:
        names, noise = models, noise or {}
    figure, axes = make_axes(
        len(panels), width=1.6 + 2 * len(panels), height=1.4 + 0.4 * len(names)
    )
    rows = range(len(names))
    for axis, (measure, intervals) in zip(axes, panels.items(), strict=True):
        for values, style in (
            (noise.get(measure, []), {"color": "gray", "marker": "x", "label": "noise"}),
            (intervals, {"color": STYLES[0]["color"], "marker": "o", "label": "measured"}),
        ):
            if values:
                mean, errors = _with_errors(values)
                axis.errorbar(mean, rows, xerr=errors, linestyle="", capsize=3, **style)
        axis.set_yticks(rows, labels=names if axis is axes[0] else [])
        axis.set_ylim(len(names) - 0.5, -0.5)  # the first on top, as in the table
        axis.margins(x=0.12)
        label_axes(axis, measure, "")
    if noise:
        handles, labels = axes[list(panels).index(next(iter(noise)))].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper right", ncols=2, frameon=False)
    return Plot(figure, alt)


def _panels_of(result: Ranking) -> tuple[dict[str, list[Interval]], dict[str, list[Interval]]]:
    """Return the panels of a ranking and their noise, in the order of its table."""
    panels, noise = {}, {}
    if result.fine_tuned:
        runs = [[100 * accuracy for accuracy in result.fine_tuned[m]] for m in result.order]
        panels["fine-tuned (%)"] = [_range(r) if len(r) < 2 else interval(r) for r in runs]
    correlations = result.correlations()
    for score in result.score_names:
        tau = f"\nτ = {correlations[score].kendall:.2f}" if score in correlations else ""
        panels[score + tau] = [_range([result.scores[m][score]]) for m in result.order]
        noise[score + tau] = [_range(result.noise[m][score]) for m in result.order]
    return panels, noise


def _range(values: Sequence[float]) -> Interval:
    return Interval(float(np.mean(values)), min(values), max(values), len(values))


def _with_errors(intervals: Sequence[Interval]) -> tuple[np.ndarray, np.ndarray]:
    """Return the means, shape (n,), and how far the intervals go down and up, shape (2, n)."""
    mean, low, high = np.array([(i.mean, i.low, i.high) for i in intervals]).T
    return mean, np.array([mean - low, high - mean])
