"""The result of running a lesson, and the limits that it should keep."""

from dataclasses import dataclass
from pathlib import Path

from transferlab.kit.lessons import Lesson


@dataclass(frozen=True)
class Limits:
    """What a lesson may cost in one profile; None: no limit.

    Attributes:
        seconds, peak_mib: the budget. A lesson above it is marked as slow.
        timeout: seconds after which a lesson counts as hanging and is ended.
    """

    seconds: float | None
    peak_mib: float | None
    timeout: float | None


LIMITS = {
    "smoke": Limits(seconds=15, peak_mib=2048, timeout=120),
    "class": Limits(seconds=60, peak_mib=2048, timeout=600),
    "full": Limits(seconds=None, peak_mib=None, timeout=None),
}


@dataclass
class Result:
    """One lesson of a run, from waiting to done.

    Attributes:
        status: "waiting", "running", "ok", "slow" (above its budget), "failed", or "interrupted"
            when the run was ended before it was done.
        seconds: from the start of the kernel to its end; while running, since the start.
        error: what went wrong, in one sentence.
        notebook: the executed notebook, when there is one.
    """

    lesson: Lesson
    limits: Limits
    status: str = "waiting"
    seconds: float = 0.0
    peak_mib: float = 0.0
    cells_done: int = 0
    error: str = ""
    notebook: Path | None = None

    @property
    def done(self) -> bool:
        """Whether the lesson has ended, well or not."""
        return self.status in ("ok", "slow", "failed")

    def finish(self, seconds: float, peak_mib: float, error: str) -> None:
        """Record how the lesson ended."""
        self.seconds, self.peak_mib, self.error = seconds, peak_mib, error
        over = (self.limits.seconds is not None and seconds > self.limits.seconds) or (
            self.limits.peak_mib is not None and peak_mib > self.limits.peak_mib
        )
        self.status = "failed" if error else "slow" if over else "ok"

    def fail(self, error: str) -> None:
        """Record that the lesson failed without measurements of its own, or after them."""
        self.finish(self.seconds, self.peak_mib, error)

    @property
    def time_text(self) -> str:
        """The seconds beside their budget."""
        return f"{self.seconds:.0f} s" + (
            f" of {self.limits.seconds:g} s" if self.limits.seconds else ""
        )

    @property
    def memory_text(self) -> str:
        """The peak memory beside its budget."""
        text = gib(self.peak_mib)
        return text + (f" of {gib(self.limits.peak_mib)}" if self.limits.peak_mib else "")

    @property
    def cells_text(self) -> str:
        """How many code cells are done, of how many."""
        return f"{self.cells_done}/{self.lesson.code_cells}"


def gib(mib: float) -> str:
    """Return an amount of memory as text: 950 -> "0.9 GiB"."""
    return f"{mib / 1024:.1f} GiB"


def duration(seconds: float) -> str:
    """Return a duration as text: 75 -> "1 min 15 s"."""
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes} min {seconds:02d} s" if minutes else f"{seconds} s"
