"""Showing the progress of a run: bars in a terminal, plain lines elsewhere."""

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from transferlab.files import text_table
from transferlab.kit.results import Result, duration

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

# How long a lesson usually takes compared with `class`; a first guess until lessons have ended.
PACE = {"smoke": 0.3, "class": 1.0, "full": None}


def time_left(
    results: Sequence[Result], jobs: int, usual_seconds: Mapping[str, float], pace: float | None
) -> dict[str, float] | None:
    """Return the seconds left for each unfinished lesson, and for all under the name "".

    A lesson is expected to take its usual seconds, times the pace: the seconds of the lessons that
    have ended in this run, divided by their usual seconds. A lesson that has not been timed yet
    counts as the mean of the others. None when nothing is known.
    """
    ended = [r for r in results if r.status in ("ok", "slow") and r.lesson.name in usual_seconds]
    if ended:
        usual = sum(usual_seconds[r.lesson.name] for r in ended)
        pace = sum(r.seconds for r in ended) / max(usual, 0.1)
    if pace is None or not usual_seconds:
        return None
    mean = sum(usual_seconds.values()) / len(usual_seconds)
    left = {
        r.lesson.name: max(usual_seconds.get(r.lesson.name, mean) * pace - r.seconds, 0.0)
        for r in results
        if not r.done
    }
    return left | {"": max([sum(left.values()) / jobs, *left.values()])}


class Progress:
    """One bar per running lesson and one for the whole; use it in a `with` statement."""

    def __init__(self, profile: str, jobs: int, usual_seconds: Mapping[str, float]) -> None:
        self.jobs, self.usual_seconds, self.pace = jobs, usual_seconds, PACE[profile]
        self.bars = _bars() if sys.stdout.isatty() else None
        self.tasks: dict[str, int] = {}

    def __enter__(self) -> "Progress":
        if self.bars:
            self.bars.start()
            self.tasks[""] = self.bars.add_task("all lessons", left="")
        return self

    def __exit__(self, *exception: object) -> None:
        if self.bars:
            self.bars.stop()

    def started(self, result: Result) -> None:
        """Show that a lesson has begun."""
        name = result.lesson.name
        if self.bars:
            self.tasks[name] = self.bars.add_task(name, total=result.lesson.code_cells, left="")
        else:
            print(f"start  {name}", flush=True)

    def finished(self, result: Result, results: Sequence[Result]) -> None:
        """Show that a lesson has ended."""
        name, done = result.lesson.name, sum(r.done for r in results)
        if self.bars:
            self.bars.remove_task(self.tasks.pop(name))
        line = f"{result.status:6} {name}  {result.time_text}  ({done}/{len(results)})"
        left = time_left(results, self.jobs, self.usual_seconds, self.pace)
        if left and done < len(results):
            line += f"  {_left_text(left[''])}"
        self._print(line)
        if result.error:
            self._print(f"       {result.error}")

    def update(self, results: Sequence[Result]) -> None:
        """Move the bars."""
        if not self.bars:
            return
        left = time_left(results, self.jobs, self.usual_seconds, self.pace) or {}
        texts = {name: _left_text(seconds) for name, seconds in left.items()}
        for result in results:
            if result.status == "running":
                task = self.tasks[name := result.lesson.name]
                self.bars.update(task, completed=result.cells_done, left=texts.get(name, ""))
        done = sum(result.done for result in results)
        self.bars.update(self.tasks[""], completed=done, total=len(results), left=texts.get("", ""))

    def _print(self, line: str) -> None:
        if self.bars:
            self.bars.console.print(line, markup=False, highlight=False)
        else:
            print(line, flush=True)


def _left_text(seconds: float) -> str:
    return f"about {duration(seconds)} left" if seconds >= 1 else "nearly done"


def _bars() -> "Bars":
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    return Bars(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}"),
    )


def table(results: Sequence[Result]) -> str:
    """Return the results as a plain table."""
    rows = [("lesson", "status", "seconds", "peak memory", "cells")]
    rows += [(r.lesson.name, r.status, r.time_text, r.memory_text, r.cells_text) for r in results]
    return text_table(rows)


def cores_used(results: Sequence[Result], wall: float) -> str:
    """Return a line that says how many lessons ran side by side, on average.

    Args:
        wall: seconds from the start of the first lesson to the end of the last.
    """
    total = sum(r.seconds for r in results)
    return (
        f"{len(results)} lessons, {duration(total)} in all, done in {duration(wall)}: "
        f"{total / max(wall, 0.1):.2f} lessons at once"
    )
