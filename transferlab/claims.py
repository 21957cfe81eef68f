"""The claims of a lesson: a sentence, how large its effect must be, what was found, the verdict.

The margin, the smallest effect that matters, is written down before the run. One seed can be lucky:
`make claims` repeats lessons with seeds that nobody chose, and keeps each run in `claims.json`.
"""

import json
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transferlab.errors import InputError
from transferlab.files import hash_text, html_table, text_table
from transferlab.metrics import Interval

RECORD = "claims.json"
COURSE = "TRANSFERLAB_COURSE"  # where the record lies, when the lesson runs in another folder
ENOUGH = 10  # fresh runs; fewer say nothing
HEADER = "", "claim", "your bet", "mean [95 % interval]", "margin", "seeds", "verdict", "held in"
SETTLED = 0.9  # the share of fresh runs in which a claim must hold


@dataclass(frozen=True)
class FreshRuns:
    """A claim held in `held` of `n` runs; `stale`: the lesson's code has changed since."""

    held: int
    n: int
    stale: bool

    @property
    def unsettled(self) -> bool:
        """Whether it held too rarely to be claimed."""
        return self.n >= ENOUGH and self.held < SETTLED * self.n

    def __str__(self) -> str:
        return f"{self.held} of {self.n}" + (", before a change" if self.stale else "")


@dataclass(frozen=True)
class Claim:
    """One measured sentence.

    Attributes:
        name: the sentence, such as "Fine-tuning beats training from scratch at 1 label".
        kind: "difference", "no difference", "question" or "fact".
        found: the mean difference and its 95 % interval over the seeds; for a fact, yes or no.
        margin: the smallest difference that matters, in the same unit.
        bet: what the student bet; its text is read whenever the claim is shown.
        fresh: how often it held in fresh runs, when there were any.
    """

    name: str
    kind: str
    found: Interval | bool
    unit: str = ""
    margin: float = 0.0
    bet: object = None
    fresh: FreshRuns | None = None

    @property
    def holds(self) -> bool:
        """Whether this run shows it.

        A difference: the whole interval lies above 0, and the mean reaches the margin.
        No difference: the whole interval lies within ± margin: two one-sided tests, not worse and
        not better by the margin (Schuirmann, The two one-sided tests procedure, 1987).
        """
        if isinstance(self.found, bool):
            return self.found
        if self.kind == "no difference":
            return -self.margin < self.found.low and self.found.high < self.margin
        return self.found.low > 0 and self.found.mean >= self.margin

    @property
    def verdict(self) -> str:
        """ "holds", "does not hold" or "unsettled"; to a question, its answer."""
        if self.kind == "question":
            level = Claim(self.name, "no difference", self.found, margin=self.margin).holds
            return "shown" if self.holds else "no difference" if level else "not shown"
        if self.fresh and self.fresh.unsettled:
            return "unsettled"
        return "holds" if self.holds else "does not hold"

    def __str__(self) -> str:
        return self.name if self.kind == "fact" else f"{self.name}: {self.found} {self.unit}"

    def row(self) -> tuple[str, ...]:
        """Return what the table shows of it."""
        asked = "shown in " if self.fresh and self.kind == "question" else ""
        first, last = (self.name, str(self.bet or "")), (self.verdict, f"{asked}{self.fresh or ''}")
        if self.kind == "fact":
            return *first, "", "", "", *last
        margin = f"{'±' if self.kind == 'no difference' else '≥'} {self.margin:g}"
        estimate = f"{self.found} {self.unit}".strip()
        return *first, estimate, margin, str(self.found.n), *last

    def record(self) -> dict[str, Any]:
        """Return what the report and `make claims` read."""
        found = {} if self.kind == "fact" else vars(self.found)
        numbers = {key: found.get(key) for key in ("mean", "low", "high")}
        plain = {key: getattr(self, key) for key in ("name", "kind", "unit", "margin")}
        return {**plain, **numbers, "holds": self.holds, "verdict": self.verdict}


class ClaimsTable:
    """The claims with their numbers; Jupyter shows it when it is a cell's last line."""

    def __init__(self, claims: list[Claim]) -> None:
        self.claims = claims

    def _table(self) -> list[tuple[str, ...]]:
        """Return the header and a row per claim; a column that says nothing is left out."""
        table = [HEADER, *((str(n), *c.row()) for n, c in enumerate(self.claims, start=1))]
        columns = [c for c in zip(*table, strict=True) if any(c[1:]) or not self.claims]
        return list(zip(*columns, strict=True))

    def __repr__(self) -> str:
        return text_table(self._table())

    def _repr_mimebundle_(self, include: object = None, exclude: object = None):
        shown = {"text/html": html_table(self._table()), "text/plain": repr(self)}
        return shown, {"transferlab_claims": [claim.record() for claim in self.claims]}


def code_hash(notebook: Path) -> str:
    """Return a short hash of a lesson's code; neither text, outputs, parameters nor cuts count."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    code = [
        "".join(cell["source"])
        for cell in cells
        if cell["cell_type"] == "code" and "parameters" not in cell["metadata"].get("tags", [])
    ]
    return hash_text("\n".join(filter(None, "\n".join(code).split("\n"))))[:12]


def read_record() -> dict[str, FreshRuns]:
    """Return for each claim how often it held; empty where there is no `claims.json`."""
    path = Path(os.environ.get(COURSE) or Path.cwd().parent) / RECORD
    if not path.is_file():
        return {}
    try:
        lessons = json.loads(path.read_text(encoding="utf-8")).items()
        held = (_held(path.parent / f"{lesson}.ipynb", attempts) for lesson, attempts in lessons)
        return {name: fresh for claims in held for name, fresh in claims.items()}
    except (ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
        raise InputError(f"{path} is damaged; get it again, or delete it.") from error


def _held(notebook: Path, attempts: list[dict[str, Any]]) -> dict[str, FreshRuns]:
    """Return how often each claim held in the attempts with the newest code."""
    code = attempts[-1]["code"]
    newest = [attempt["claims"] for attempt in attempts if attempt["code"] == code]
    stale = notebook.is_file() and code_hash(notebook) != code
    held = Counter(name for claims in newest for name in claims if claims[name]["holds"])
    return {name: FreshRuns(held[name], len(newest), stale) for claims in newest for name in claims}
