"""The settings of a lesson's run, its scores, and the claims that it must prove."""

import functools
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch

from transferlab.claims import Claim, ClaimsTable, read_record
from transferlab.device import choose_device, prefer_device
from transferlab.errors import InputError
from transferlab.metrics import Interval, interval

PROFILES = ("smoke", "class", "full")
FRESH = "TRANSFERLAB_FRESH_RUN"  # set by `make claims`: find out what holds, assert nothing
T = TypeVar("T")
Gains = Sequence[float]  # paired and signed, one per seed: B minus A


@dataclass(frozen=True)
class Run:
    """The settings of one run of a lesson.

    Attributes:
        profile: "smoke" (does it run?), "class" (what is taught) or "full" (real data and weights).
        device: "cpu" or "cuda".
        seed: the first seed; a lesson that repeats uses seed, seed + 1, ….
    """

    profile: str
    device: str
    seed: int

    def setting(self, *, smoke: T, class_: T, full: T) -> T:
        """Return the value that a setting has in this run's profile.

        >>> steps = run.setting(smoke=5, class_=50, full=100)

        (`class` is a keyword of Python, hence the underscore.)
        """
        return {"smoke": smoke, "class": class_, "full": full}[self.profile]

    def __str__(self) -> str:
        return f"profile {self.profile}, device {self.device}, seed {self.seed}"


def start(
    profile: str = "class", device: str = "auto", seed: int = 0, *, threads: int | None = 1
) -> Run:
    """Begin a lesson: check its parameters and print them.

    The environment variables TRANSFERLAB_PROFILE and TRANSFERLAB_DEVICE, when set, override the
    parameters: tests run the same notebook in another profile without changing it. With
    TRANSFERLAB_OFFLINE=1 every connection to another machine raises an error from now on.

    From now on `device="auto"`, the default of every function, is the lesson's device.

    Args:
        profile: "smoke", "class" or "full".
        device: "auto", "cpu", "cuda" or "mps".
        seed: the first seed.
        threads: CPU threads in "smoke" and "class". The course's networks are so small there that
            a second thread costs more time than it saves. None, and "full", leave the choice to
            torch.
    """
    profile = os.environ.get("TRANSFERLAB_PROFILE") or profile
    device = os.environ.get("TRANSFERLAB_DEVICE") or device
    if profile not in PROFILES:
        raise InputError(f"profile={profile!r} is unknown; expected one of {', '.join(PROFILES)}.")
    if not isinstance(seed, int) or seed < 0:
        raise InputError(f"seed={seed!r}: expected a whole number, 0 or more.")
    if os.environ.get("TRANSFERLAB_OFFLINE"):
        forbid_network()
    if threads is not None and profile != "full":
        torch.set_num_threads(threads)
    prefer_device(device)
    run = Run(profile, str(choose_device("auto")), seed)
    print(run)
    return run


def bet(question: str, unit: str, low: int = -50, high: int = 50, step: int = 1) -> object:
    """Ask for a bet with a slider, before the run; return a `plots.widgets.Bet`."""
    from transferlab.plots import widgets  # here, because matplotlib takes long to import

    return widgets.bet(question, unit, low, high, step)


@functools.cache  # a hook cannot be taken back, and one is enough
def forbid_network() -> None:
    """Refuse connections of this process to other machines from now on."""

    def refuse(event: str, arguments: tuple) -> None:
        if event == "socket.connect":  # Python says so before it connects (PEP 578, 2019)
            address = arguments[1]
            host = str(address[0]) if isinstance(address, tuple) else "localhost"  # a path: local
            if host not in ("localhost", "::1") and not host.startswith("127."):
                raise OSError(f"this lesson runs without a network; it tried to reach {host}")

    sys.addaudithook(refuse)


class Scores:
    """Scores by name and settings, one per seed, collected while a lesson runs.

    >>> accuracy = Scores()
    >>> accuracy.add("fine-tuned", 71.0, n=5)  # the first seed, five labels per class
    >>> accuracy.add("from scratch", 64.0, n=5)
    >>> accuracy.gain("fine-tuned", "from scratch", n=5)
    array([7.])
    """

    def __init__(self) -> None:
        self._lists: dict[tuple[str, frozenset[tuple[str, Any]]], list[float]] = {}

    def add(self, name: str, *scores: float, **settings: Any) -> None:
        """Add the score of the next seed, or of the next few seeds."""
        self._lists.setdefault((name, frozenset(settings.items())), []).extend(scores)

    def of(self, name: str, **settings: Any) -> np.ndarray:
        """Return the scores with this name and exactly these settings, one per seed."""
        key = name, frozenset(settings.items())
        if key not in self._lists:
            known = "; ".join(_described(*key) for key in self._lists) or "none"
            raise InputError(f"no scores of {_described(*key)}; there are {known}.")
        return np.array(self._lists[key])

    def gain(self, better: str, worse: str, **settings: Any) -> np.ndarray:
        """Return the paired differences better − worse, one per seed."""
        first, second = self.of(better, **settings), self.of(worse, **settings)
        if len(first) != len(second):
            raise InputError(
                f"{better!r} has {len(first)} scores and {worse!r} {len(second)}; "
                "expected the same number of both, one per seed."
            )
        return first - second

    def interval(self, name: str, **settings: Any) -> Interval:
        """Return the mean of these scores and its 95 % interval over the seeds."""
        return interval(self.of(name, **settings))

    @property
    def names(self) -> list[str]:
        """The names, in the order in which they were first added."""
        return list(dict.fromkeys(name for name, _ in self._lists))


def _described(name: str, settings: frozenset[tuple[str, Any]]) -> str:
    """Return "'fine-tuned' with n=5"."""
    described = ", ".join(f"{key}={value!r}" for key, value in sorted(settings))
    return f"{name!r} with {described}" if described else repr(name)


class Claims:
    """The claims of a lesson, collected while it runs, shown and asserted at its end.

    In the profile "class" a claim that does not hold raises an AssertionError, unless fresh runs
    have found it unsettled. "smoke" is too short to prove anything, and "full" may run on other
    data, so both only show the table.

    >>> claims = lesson.Claims(run)
    >>> claims.positive("Fine-tuning beats scratch", tuned - scratch, "points", margin=3)
    >>> claims.show()
    """

    def __init__(self, run: Run) -> None:
        self.run, self.claims = run, []
        self._record = read_record()

    def positive(
        self, name: str, gains: Gains, unit: str = "", *, margin: float = 0, bet: object = None
    ) -> None:
        """Claim a difference: its 95 % interval lies above 0, its mean is at least the margin."""
        self._add(name, "difference", interval(gains), unit, margin, bet)

    def no_difference(
        self, name: str, gains: Gains, unit: str = "", *, margin: float, bet: object = None
    ) -> None:
        """Claim that there is none that matters: the 95 % interval lies within ± margin."""
        self._add(name, "no difference", interval(gains), unit, margin, bet)

    def question(
        self, name: str, gains: Gains, unit: str = "", *, margin: float, bet: object = None
    ) -> None:
        """Ask for a difference without claiming one; "not shown" is an answer, too."""
        self._add(name, "question", interval(gains), unit, margin, bet)

    def fact(self, name: str, holds: bool) -> None:
        """Claim something that does not depend on chance."""
        self._add(name, "fact", bool(holds))

    def _add(self, name: str, *rest: object) -> None:
        self.claims.append(Claim(name, *rest, fresh=self._record.get(name)))

    def show(self) -> ClaimsTable:
        """Return the table of claims; in the profile "class", raise when one does not hold."""
        broken = [str(claim) for claim in self.claims if claim.verdict == "does not hold"]
        if broken and self.run.profile == "class" and not os.environ.get(FRESH):
            raise AssertionError(f"not shown by this run: {'; '.join(broken)}")
        return ClaimsTable(self.claims)
