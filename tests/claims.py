"""Run lessons again with seeds that nobody has chosen, and count how often each claim holds.

    python tests/claims.py                       all lessons, 10 runs of each: hours
    python tests/claims.py '03_formulas/*' --runs 20
    python tests/claims.py --runs 0              only show what is known

The seeds come from the hash of a lesson's code. Every attempt is kept in `course/claims.json`, and
what is kept there is not run again: end the command at any time, and begin it anew.
"""

import argparse
import datetime
import hashlib
import importlib.metadata
import json
import os
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from transferlab.claims import RECORD, code_hash
from transferlab.files import text_table, written_whole
from transferlab.kit.ledger import read_ledger
from transferlab.kit.lessons import Lesson, find_lessons
from transferlab.kit.report import claims, read_outputs
from transferlab.kit.run import run_lessons
from transferlab.lesson import FRESH

KEPT = ("kind", "mean", "low", "high", "holds")  # of each claim
Attempt = dict[str, Any]


class Attempts:
    """All attempts by lesson; each is written to the file as soon as it is there."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.of: dict[str, list[Attempt]] = {}
        if path.is_file():
            self.of = json.loads(path.read_text(encoding="utf-8"))

    def missing(self, lesson: Lesson, runs: int) -> list[int]:
        """Return the numbers of the fresh runs that the lesson as it stands still lacks."""
        code = code_hash(lesson.path)
        made = {attempt["seed"] for attempt in self.current(lesson)}
        return [number for number in range(runs) if fresh_seed(code, number) not in made]

    def current(self, lesson: Lesson) -> list[Attempt]:
        """Return the attempts with the lesson's code as it stands."""
        code = code_hash(lesson.path)
        return [attempt for attempt in self.of.get(lesson.name, []) if attempt["code"] == code]

    def add(self, lesson: Lesson, attempt: Attempt) -> None:
        """Keep an attempt."""
        with written_whole(self.path) as unfinished:
            self.of.setdefault(lesson.name, []).append(attempt)
            text = json.dumps(dict(sorted(self.of.items())), indent=1, ensure_ascii=False)
            unfinished.write_text(text + "\n", encoding="utf-8")


def fresh_seed(code: str, number: int) -> int:
    """Return the seed of a fresh run: the lesson's code decides, so nobody can pick it."""
    return int(hashlib.sha256(f"{code} {number}".encode()).hexdigest(), 16) % 1_000_000


def fresh_run(lesson: Lesson, number: int) -> Attempt:
    """Run a lesson in `class` with its seed of this number; return what was found."""
    code = code_hash(lesson.path)
    seed = fresh_seed(code, number)
    with tempfile.TemporaryDirectory(prefix="claims-") as build:
        (result,) = run_lessons(
            [lesson], "class", "cpu", {"seed": seed}, jobs=1, threads=1, build=Path(build)
        )
        found = claims(read_outputs(result.notebook)) if result.notebook else []
    return {
        "code": code,
        "seed": seed,
        "date": datetime.date.today().isoformat(),
        "torch": importlib.metadata.version("torch"),
        "error": result.error,
        "claims": {
            claim["name"]: {key: _short(value) for key, value in claim.items() if key in KEPT}
            for claim in found
        },
    }


def _short(value: object) -> object:
    return float(f"{value:.4g}") if isinstance(value, float) else value


def claimed(attempt: Attempt) -> dict[str, bool]:
    """Return for each claim of an attempt whether it held; questions claim nothing."""
    claims = attempt["claims"].items()
    return {name: claim["holds"] for name, claim in claims if claim["kind"] != "question"}


def held_in_full(attempt: Attempt) -> bool:
    """Return whether a lesson ran to its end and every claim held."""
    return not attempt["error"] and all(claimed(attempt).values())


def summary(attempts: Attempts, lessons: Sequence[Lesson]) -> str:
    """Return a row per lesson, a row per claim that has not always held, and the shares."""
    runs = [["lesson", "held in full", "older attempts"]]
    weak = [["claim that has not always held", "held in"]]
    every: list[Attempt] = []
    for lesson in lessons:
        current = attempts.current(lesson)
        every += current
        held = f"{sum(map(held_in_full, current))} of {len(current)}"
        older = len(attempts.of.get(lesson.name, [])) - len(current)
        runs.append([lesson.name, held, str(older or "")])
        for name in dict.fromkeys(name for attempt in current for name in claimed(attempt)):
            holds = [claimed(attempt).get(name, False) for attempt in current]
            if not all(holds):
                weak.append([f"{lesson.name}: {name}", f"{sum(holds)} of {len(holds)}"])
    rows = [holds for attempt in every for holds in claimed(attempt).values()]
    shares = (
        f"{sum(map(held_in_full, every))} of {len(every)} runs held in full, "
        f"{sum(rows)} of {len(rows)} rows held"
    )
    tables = [text_table(table) for table in (runs, weak) if len(table) > 1]
    return "\n\n".join(["", *tables, shares])


def main() -> None:
    """Make the fresh runs that are missing; show what is known."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("lessons", nargs="*", help="such as '04_code/*'; none means all")
    parser.add_argument("--runs", type=int, default=10, help="fresh runs of each lesson [10]")
    parser.add_argument("--jobs", type=int, default=2, help="lessons at once [2]")
    parser.add_argument("--course", type=Path, default=Path("course"))
    given = parser.parse_args()
    attempts = Attempts(given.course / RECORD)
    lessons = find_lessons(given.course, given.lessons)
    seconds = {name: cost["seconds"] for name, cost in read_ledger(given.course).items()}
    longest_first = sorted(lessons, key=lambda lesson: -seconds.get(lesson.name, 0))
    lacks = [(lesson, attempts.missing(lesson, given.runs)) for lesson in longest_first]
    missing = [
        (lesson, number)
        for number in range(given.runs)
        for lesson, numbers in lacks
        if number in numbers
    ]
    print(f"{len(missing)} fresh runs to make, {given.jobs} at once")
    os.environ[FRESH] = "1"  # claims that do not hold are counted, not raised
    with ProcessPoolExecutor(given.jobs) as pool:  # not threads: matplotlib draws one at a time
        runs = {pool.submit(fresh_run, *run): run[0] for run in missing}
        try:
            for run in as_completed(runs):
                attempts.add(runs[run], run.result())
        except BaseException:  # also Ctrl-C
            pool.shutdown(cancel_futures=True)
            raise
    print(summary(attempts, lessons))


if __name__ == "__main__":
    main()
