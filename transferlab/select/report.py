"""The result of `rank_models`: two tables, and what may be concluded."""

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from transferlab.files import html_table, text_table
from transferlab.metrics import interval
from transferlab.select.correlation import Correlation, rank_correlation, smallest_convincing
from transferlab.select.costs import Cost

ACCURACIES = ("knn", "linear_probe")  # these are shares, shown in percent
SMALLEST_RANKING = 3  # models; no rank correlation is computed for fewer


@dataclass(frozen=True)
class Ranking:
    """The result of `rank_models`, shown as two tables.

    Attributes:
        data: what the models were ranked on.
        scores: model → score → value. Higher is better.
        noise: model → score → its values for shuffled labels, one per shuffle.
        cost: model → what it costs.
        source_accuracy: model → accuracy on the data of its pre-training, 0..1, where it is known.
        fine_tuned: model → accuracy after fine-tuning, 0..1, one per seed. Empty when not measured.
    """

    data: str
    scores: dict[str, dict[str, float]]
    noise: dict[str, dict[str, list[float]]]
    cost: dict[str, Cost]
    source_accuracy: dict[str, float]
    fine_tuned: dict[str, list[float]]

    @property
    def score_names(self) -> list[str]:
        return list(next(iter(self.scores.values())))

    @property
    def order(self) -> list[str]:
        """The models, best first: by fine-tuned accuracy, or by the first score without it."""
        first = self.score_names[0]
        quality = {name: values[first] for name, values in self.scores.items()}
        if self.fine_tuned:
            quality = {name: float(np.mean(runs)) for name, runs in self.fine_tuned.items()}
        return sorted(quality, key=quality.__getitem__, reverse=True)

    def beats_noise(self, model: str, score: str) -> bool:
        """Return whether a score is larger than for every shuffle of the labels."""
        return self.scores[model][score] > max(self.noise[model][score])

    def correlations(self) -> dict[str, Correlation]:
        """Return the rank correlation of each score with the mean fine-tuned accuracy.

        "source accuracy" stands beside the scores when it is known for every model.
        """
        columns = {s: [self.scores[m][s] for m in self.scores] for s in self.score_names}
        if len(self.source_accuracy) == len(self.scores):
            columns["source accuracy"] = [self.source_accuracy[m] for m in self.scores]
        return self._correlate(columns)

    def noise_correlations(self) -> dict[str, Correlation]:
        """Return the same for the mean scores with shuffled labels.

        A score whose shuffled version predicts as well measures something other than how the
        features suit these labels, such as how many different source classes the model predicts.
        """
        means = {s: [np.mean(self.noise[m][s]) for m in self.scores] for s in self.score_names}
        return self._correlate(means)

    def _correlate(self, columns: dict[str, list[float]]) -> dict[str, Correlation]:
        if not self.fine_tuned or len(self.scores) < SMALLEST_RANKING:
            return {}
        accuracies = [np.mean(self.fine_tuned[model]) for model in self.scores]
        return {name: rank_correlation(values, accuracies) for name, values in columns.items()}

    def __repr__(self) -> str:
        tables = (text_table(table, numbers=True) for table in self._tables())
        return "\n\n".join([f"Ranking on {self.data}", *tables, "\n".join(self._notes())])

    def _repr_html_(self) -> str:
        tables = "".join(html_table(table, numbers=True) for table in self._tables())
        notes = "".join(f"<li>{html.escape(note)}</li>" for note in self._notes())
        return f"<p>Ranking on {html.escape(self.data)}</p>{tables}<ul>{notes}</ul>"

    def _tables(self) -> tuple[list[list[str]], list[list[str]]]:
        """Return the table of quality and the table of cost; the first row is the header."""
        return self._quality(), self._costs()

    def _quality(self) -> list[list[str]]:
        table = [["model", *self.score_names, "source accuracy", "fine-tuned %"]]
        for model in self.order:
            row = [model]
            for score in self.score_names:
                mark = "" if self.beats_noise(model, score) else "°"
                row.append(_shown(score, self.scores[model][score]) + mark)
            source = self.source_accuracy.get(model)
            row.append("" if source is None else f"{source:.1%}")
            row.append(_percent(self.fine_tuned[model]) if self.fine_tuned else "")
            table.append(row)
        noise = {s: max(max(self.noise[m][s]) for m in self.scores) for s in self.score_names}
        shuffled = [_shown(score, value) for score, value in noise.items()]
        table.append(["shuffled labels, highest", *shuffled, "", ""])
        return table + self._agreement()

    def _agreement(self) -> list[list[str]]:
        """Return the rows that say how well each score predicts the fine-tuned accuracy."""
        correlations, noise = self.correlations(), self.noise_correlations()
        if not correlations:
            return []
        columns = [*self.score_names, "source accuracy"]

        def row(title: str, of: dict[str, Correlation], attribute: str, digits: int = 2):
            values = [getattr(of[c], attribute) if c in of else math.nan for c in columns]
            return [title, *("" if math.isnan(v) else f"{v:.{digits}f}" for v in values), ""]

        return [
            row("Kendall τ", correlations, "kendall"),
            row("p of τ", correlations, "p", digits=3),
            row("weighted τ", correlations, "weighted"),
            row("Spearman ρ", correlations, "spearman"),
            row("τ of shuffled score", noise, "kendall"),
        ]

    def _costs(self) -> list[list[str]]:
        table = [["model", "parameters", "MFLOPs per image", "ms per image", "MB to train"]]
        for model in self.order:
            c = self.cost[model]
            numbers = [f"{c.parameters:,}", f"{c.flops / 1e6:,.1f}", f"{1e3 * c.seconds:.2f}"]
            table.append([model, *numbers, f"{c.memory / 1e6:,.1f} ({c.memory_is})"])
        return table

    def _notes(self) -> list[str]:
        """Return what the tables do and do not say."""
        shuffles = len(next(iter(self.noise.values()))[self.score_names[0]])
        notes = [
            f"Higher is better. °: no better than the best of {shuffles} shuffles of the labels, "
            f"which chance alone beats once in {shuffles + 1} times."
        ]
        c = next(iter(self.cost.values()))
        threads = f", threads: {c.threads}" if c.device == "cpu" else ""
        notes.append(
            f"Cost of the whole network on {c.device}{threads}, batch size {c.batch_size}; "
            "a multiplication with its addition is 2 FLOPs."
        )
        if correlations := self.correlations():
            n, columns = len(self.scores), len(correlations)
            needed = smallest_convincing(n)
            notes.append(
                f"With {n} models chance alone reaches any τ too often to conclude anything "
                "(p ≤ 0.05 is impossible)."
                if needed is None
                else f"With {n} models τ must reach {needed:.2f} for p ≤ 0.05 (all orders equally "
                f"likely, two-sided); {columns} columns are {columns} chances to be lucky."
            )
        return notes


def _shown(score: str, value: float) -> str:
    return f"{value:.1%}" if score in ACCURACIES else f"{value:.3f}"


def _percent(runs: Sequence[float]) -> str:
    percent = [100 * accuracy for accuracy in runs]
    return str(interval(percent)) if len(percent) > 1 else f"{percent[0]:.1f}"
