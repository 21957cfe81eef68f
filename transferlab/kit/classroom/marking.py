"""Marking a class: rebuild, run in the sandbox, record; one submission after another, or several.

The process that runs a student's code decides nothing: it reports what became of each check, and
the points are given here. What is marked already is not marked again, so that the same command goes
on where it was cut off.
"""

import functools
import hashlib
import json
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transferlab.cache import code_hash
from transferlab.errors import InputError
from transferlab.files import hash_text
from transferlab.kit.classroom.cluster import workers
from transferlab.kit.classroom.deadlines import candidates
from transferlab.kit.classroom.edition import Edition, about
from transferlab.kit.classroom.rebuild import Rebuilt, rebuild
from transferlab.kit.classroom.records import Check, Marking, Records, Submission
from transferlab.kit.classroom.sources import plain

if TYPE_CHECKING:
    from transferlab.kit.classroom.judging import Reference
    from transferlab.kit.classroom.sandbox import Ended, Limits, Sandbox

DECIDING = ("edition.py", "rebuild.py", "marking.py", "judging.py", "values.py")
DECIDING += ("inside.py", "intact.py", "suspects.py")
MOST_RUNNING = 64  # jobs handed out at once: each may have 20 MB
NOTHING_SAID: dict[str, Any] = {"checks": {}, "values": {}, "flags": []}
NOT_ANSWERED = "The exercise was not answered."


def marking_key(submission: Submission, edition: Edition) -> str:
    """Return what a marking is kept under: submission, source of the exercises, code that marks."""
    return hash_text(f"{submission.sha} {edition.source_hash} {_marking_version()}")


_references: dict[str, "Reference"] = {}  # source hash -> the solved edition, made once a process


@functools.cache
def _own_sandbox() -> "Sandbox":
    from transferlab.kit.classroom.sandbox import find_sandbox

    return find_sandbox()


@functools.cache
def _marking_version() -> str:
    digest = hashlib.sha256(code_hash().encode())  # answers use the package
    for name in DECIDING:
        digest.update(Path(__file__).with_name(name).read_bytes())
    return digest.hexdigest()


# ---- one submission ------------------------------------------------------------------------------


def mark_submission(
    content: bytes, reference: "Reference", sandbox: "Sandbox", limits: "Limits"
) -> Marking:
    """Return what became of a submission; whatever is in it, this returns.

    Raises:
        OSError, InputError: the sandbox could not be started, which is no fault of the student's.
    """
    edition = reference.edition
    try:
        rebuilt = rebuild(content, edition)
    except InputError as error:
        return Marking("unreadable", plain(str(error)))
    cases = reference.draw(hashlib.sha256(content).hexdigest())
    task = rebuilt.task(edition, reference.coded(cases))
    ended = sandbox.run(json.dumps(task).encode(), limits)
    said = json.loads(ended.result) if ended.status == "ended" else NOTHING_SAID
    faults = {n: reference.fault(n, cases[n], said["values"].get(n, [])) for n in cases}
    checks = tuple(_checks(edition, rebuilt, said["checks"], faults))
    notes, flags = list(rebuilt.notes), list(rebuilt.flags)
    for flag in (plain(flag, 200) for flag in said["flags"][:50]):
        name = flag.partition(":")[0]
        by_value = name in edition.grade_ids and edition.exercise_of(name) in cases
        # a value cannot be forged, whatever the code has looked at
        (notes if by_value else flags).append(flag)
    used = ended.seconds, ended.memory, sandbox.name
    return Marking(*_status(ended), checks, tuple(notes), tuple(flags), *used)


def _status(ended: "Ended") -> tuple[str, str]:
    if ended.status == "ended":
        return "graded", ""
    if ended.status == "timed out":
        return "timed out", "It was stopped because it took too long."
    last = plain(ended.log.strip().rpartition("\n")[2], 200)
    return "crashed", f"It was stopped: {ended.status}. {last}".strip()


def _checks(
    edition: Edition, rebuilt: Rebuilt, said: dict[str, Any], faults: dict[str, str]
) -> Iterator[Check]:
    """Yield a row for each check and each written answer of the source: none is forgotten."""
    for cell in edition.graded:
        name, worth = about(cell)["grade_id"], float(about(cell)["points"])
        exercise = edition.exercise_of(name)
        found = said.get(name, {"status": "not reached", "message": "", "seconds": 0.0})
        if found["status"] == "passed" and (fault := faults.get(exercise)):
            found = found | {"status": "failed", "message": fault}
        if cell["cell_type"] == "code" and found["status"] == "passed":
            yield Check(name, exercise, "passed", worth, worth, "", found["seconds"])
        elif exercise in rebuilt.untouched:
            yield Check(name, exercise, "not answered", 0.0, worth, NOT_ANSWERED)
        elif cell["cell_type"] == "code":
            told = plain(found["message"]), found["seconds"]
            yield Check(name, exercise, found["status"], 0.0, worth, *told)
        else:
            yield Check(name, exercise, "waiting", None, worth)


# ---- the class -----------------------------------------------------------------------------------


@dataclass
class Progress:
    """How far the marking of a class is: counts by status, and the seconds of each submission."""

    total: int
    counts: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    not_marked: list[str] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)

    def line(self) -> str:
        """Return one line for the terminal."""
        done = self.counts.total() + len(self.not_marked)
        parts = [f"{done} of {self.total}"]
        parts += [f"{count} {status}" for status, count in self.counts.most_common()]
        if self.not_marked:
            parts.append(f"{len(self.not_marked)} not marked")
        if self.seconds:
            middle, most = statistics.median(self.seconds), max(self.seconds)
            parts.append(f"median {middle:.1f} s, slowest {most:.1f} s")
        if 0 < done < self.total:
            left = (time.monotonic() - self.started) / done * (self.total - done)
            parts.append(f"about {left:.0f} s left")
        return ", ".join(parts)


def unmarked(records: Records, edition: Edition) -> dict[Submission, str]:
    """Return what can count of every student and is not marked yet, each with its key."""
    current = candidates(records, edition.chapter)
    keys = {submission: marking_key(submission, edition) for submission in current}
    return {submission: k for submission, k in keys.items() if not records.has(submission, k)}


def job(
    content: bytes, edition: Edition, sandbox: "Sandbox | None", limits: "Limits", version: str
) -> Marking:
    """Mark one submission, here or on another machine: bytes in, record out.

    Args:
        sandbox: None means the one that works where this runs.
        version: of the code that marks, which must be the same everywhere.
    """
    from transferlab.kit.classroom.judging import Reference  # it imports torch

    if version != _marking_version():
        raise InputError("this worker has another version of transferlab")
    reference = _references.setdefault(edition.source_hash, Reference(edition))
    return mark_submission(content, reference, sandbox or _own_sandbox(), limits)


def mark_class(
    records: Records,
    edition: Edition,
    sandbox: "Sandbox | None",
    limits: "Limits",
    jobs: int = 1,
    tell: Callable[[Progress], None] = lambda progress: None,
    on: str | None = None,
) -> Progress:
    """Mark what counts of every student and is not marked yet; return what became of it.

    One bad submission never stops the class. What could not be run through no fault of the
    student's is not recorded; the next call tries it again.

    Args:
        sandbox: where student code runs; None leaves that to each machine of a cluster.
        jobs: submissions at once, each in a sandbox of its own.
        tell: called after each submission.
        on: the address of a cluster's scheduler, which marks instead of this machine.
    """
    keys = unmarked(records, edition)
    progress = Progress(len(keys))
    running: dict[Future[Marking], Submission] = {}

    def keep_what_is_done() -> None:
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            submission = running.pop(future)
            _keep(records, submission, keys[submission], future, progress)
            tell(progress)

    with workers(jobs, on) as executor:
        for submission in keys:
            future: Future[Marking] = Future()
            if submission.status == "collected":
                content = records.file_of(submission.sha).read_bytes()
                task = content, edition, sandbox, limits, _marking_version()
                future = executor.submit(job, *task)
            else:
                future.set_result(Marking(submission.status, submission.reason))
            running[future] = submission
            if len(running) >= MOST_RUNNING:
                keep_what_is_done()
        while running:
            keep_what_is_done()
    return progress


def _keep(
    records: Records,
    submission: Submission,
    key: str,
    future: "Future[Marking]",
    progress: Progress,
) -> None:
    try:
        marking = future.result()
    except Exception as error:  # of any kind: the rest of the class goes on
        progress.not_marked.append(f"{submission.student}: {plain(str(error)) or repr(error)}")
        return
    records.add_marking(submission, key, marking)
    progress.counts[marking.status] += 1
    if marking.seconds:
        progress.seconds.append(marking.seconds)
