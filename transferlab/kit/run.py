"""Run lessons headlessly: each in its own process, several at once."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from transferlab.claims import COURSE
from transferlab.device import choose_device, cpu_quota
from transferlab.errors import InputError
from transferlab.kit import kernel
from transferlab.kit.family import MARK, end_family
from transferlab.kit.lessons import Lesson, check_parameters
from transferlab.kit.notebooks import write_text
from transferlab.kit.progress import Progress
from transferlab.kit.report import Report
from transferlab.kit.results import LIMITS, Result, duration

EXECUTE = Path(__file__).with_name("execute.py")
THREAD_VARIABLES = [f"{name}_NUM_THREADS" for name in ("OMP", "MKL", "OPENBLAS", "NUMEXPR")]
THREAD_VARIABLES.append("VECLIB_MAXIMUM_THREADS")
ENDINGS = ("SIGINT", "SIGTERM", "SIGHUP")  # Ctrl-C, a polite end, a closed terminal
HEARTBEAT = 20  # seconds after which the page is written anew, even when nothing has happened


def run_lessons(
    lessons: Sequence[Lesson],
    profile: str = "class",
    device: str = "auto",
    parameters: Mapping[str, Any] | None = None,
    *,
    jobs: int | None = None,
    threads: int | None = None,
    build: Path = Path("build"),
    usual_seconds: Mapping[str, float] | None = None,
    timeout: float | None = None,
) -> list[Result]:
    """Run lessons and return one result for each; a lesson that fails does not stop the others.

    SIGINT, SIGTERM and SIGHUP end all lessons, and the report says so; then SystemExit is raised.

    Args:
        parameters: more parameters for every lesson, such as {"seed": 3}.
        jobs: lessons at once. By default as many as there are cores; one in `full`, where a lesson
            may fill the memory or the GPU.
        threads: threads per lesson. By default the cores are shared out among the jobs.
        build: the folder for the executed notebooks and the report.
        usual_seconds: the seconds of former runs by lesson. The longest are run first, and the
            time left is guessed from them.
        timeout: seconds after which a lesson is ended; by default the profile's.
    """
    given = {"profile": profile, "device": device, **(parameters or {})}
    results = planned(lessons, given)
    choose_device(device)  # fail once here rather than in every lesson
    cores = max(1, int(cpu_quota()))
    jobs = min(jobs or (1 if profile == "full" else cores), len(lessons))
    environment = _environment(profile, device, threads or max(1, cores // jobs))
    environment[COURSE] = str(lessons[0].path.resolve().parents[1])  # with the record of claims

    # The longest lessons go first: one that began last would keep a core busy, the others idle.
    usual = usual_seconds or {}
    waiting = sorted(results, key=lambda r: usual.get(r.lesson.name, 0), reverse=True)
    running: list[_Execution] = []
    report = Report(build / profile, profile, device)
    report.write(results)
    with _first_signal_ends() as signals, Progress(profile, jobs, usual) as progress:
        try:
            while (waiting or running) and not signals:
                while waiting and len(running) < jobs:
                    result = waiting.pop(0)
                    progress.started(result)
                    try:
                        if not result.done:
                            running.append(_Execution(result, given, environment, timeout))
                    except OSError as error:  # such as a full disk
                        result.fail(f"it could not be started: {error}")
                    if result.done:
                        progress.finished(result, results)
                    report.write(results)
                for execution in list(running):
                    if execution.poll():
                        execution.keep_notebook(build / profile)
                        running.remove(execution)
                        progress.finished(execution.result, results)
                        report.write(results)
                progress.update(results)
                if time.time() - report.written > HEARTBEAT:
                    report.write(results)
                time.sleep(0.1)
        finally:  # after a signal or a full disk, some are still running
            if unfinished := [result for result in results if not result.done]:
                with contextlib.suppress(OSError):  # the terminal may have been closed
                    print("ending lessons …", file=sys.stderr, flush=True)
            _end(running)
            for result in unfinished:
                result.status = "interrupted"
            if unfinished:
                report.write(results)
    return results


def planned(lessons: Sequence[Lesson], given: Mapping[str, Any]) -> list[Result]:
    """Return a result for each lesson to be run with these parameters; some may have failed."""
    profile = given["profile"]
    if profile not in LIMITS:
        raise InputError(f"profile={profile!r} is unknown; expected one of {', '.join(LIMITS)}.")
    results = [Result(lesson, LIMITS[profile]) for lesson in lessons]
    for result in results:
        try:
            check_parameters(result.lesson, {name: given[name] for name in ("profile", "device")})
        except InputError as error:  # this file is at fault; the others can run
            result.fail(str(error))
        else:
            check_parameters(result.lesson, given)
    return results


@contextlib.contextmanager
def _first_signal_ends() -> Iterator[list[int]]:
    """Let the first signal raise SystemExit, and ignore the next ones; yield a list for it."""
    received: list[int] = []

    def end(number: int, frame: object) -> None:
        if not received:
            received.append(number)
            sys.exit(128 + number)

    numbers = [getattr(signal, name) for name in ENDINGS if hasattr(signal, name)]
    # `nohup` and a shell's background jobs have them ignored, and other threads cannot set them.
    main = threading.current_thread() is threading.main_thread()
    numbers = [n for n in numbers if main and signal.getsignal(n) != signal.SIG_IGN]
    before = {number: signal.signal(number, end) for number in numbers}
    try:
        yield received
    finally:
        for number, handler in before.items() if not received else ():
            signal.signal(number, handler)
    if received:  # raised where Python swallows exceptions, as in __del__
        sys.exit(128 + received[0])


def _environment(profile: str, device: str, threads: int) -> dict[str, str]:
    """Return the environment variables of a lesson."""
    environment = os.environ | kernel.environment() | dict.fromkeys(THREAD_VARIABLES, str(threads))
    environment |= {"TRANSFERLAB_PROFILE": profile, "TRANSFERLAB_DEVICE": device}
    environment |= {"TQDM_DISABLE": "1", "JUPYTER_PREFER_ENV_PATH": "1"}  # this Python's kernel
    if profile != "full":
        environment["TRANSFERLAB_OFFLINE"] = "1"
    return environment


class _Execution:
    """One lesson that is being run, in its own empty folder."""

    def __init__(
        self,
        result: Result,
        parameters: Mapping[str, Any],
        environment: Mapping[str, str],
        timeout: float | None,
    ) -> None:
        self.result, self.timeout = result, timeout or result.limits.timeout
        self.folder = tempfile.TemporaryDirectory(prefix="transferlab-", ignore_cleanup_errors=True)
        folder = Path(self.folder.name)
        self.executed = folder / "executed.ipynb"
        (cwd := folder / "work").mkdir()
        arguments = [result.lesson.path.resolve(), self.executed, cwd, json.dumps(parameters)]
        self.log = folder / "log.txt"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-P", EXECUTE, *arguments],
                env={**environment, "IPYTHONDIR": str(folder / "ipython"), MARK: str(folder)},
                stdin=subprocess.PIPE,  # it closes when this program ends: see execute.py
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches this program only, which ends the others
            )
        self.started = time.perf_counter()
        self.lines_read = 0
        result.status = "running"

    def poll(self) -> bool:
        """Record what the process has reported since; return whether it has ended."""
        ended = self.process.poll() is not None
        for event in self._events():
            if "error" in event:
                self.result.finish(**event)
            else:
                self.result.cells_done = event["cells_done"]
        if self.result.done:
            return ended
        self.result.seconds = time.perf_counter() - self.started
        if ended:
            last = (self.log.read_text(errors="replace").strip().splitlines() or [""])[-1]
            code = self.process.returncode
            self.result.fail(f"the notebook's process ended early (exit code {code}): {last}")
        elif self.timeout and self.result.seconds > self.timeout:
            where = f"code cell {self.result.cells_done + 1}"
            self.result.fail(f"ended after {duration(self.timeout)} without a result, in {where}.")
        return self.result.done

    def _events(self) -> list[dict[str, Any]]:
        whole_lines = self.log.read_bytes().split(b"\n")[:-1]
        new, self.lines_read = whole_lines[self.lines_read :], len(whole_lines)
        events = []
        for line in new:  # other lines are output of the kernel or of a library
            with contextlib.suppress(ValueError, KeyError, TypeError):
                events.append(json.loads(line)["event"])
        return events

    def keep_notebook(self, folder: Path) -> None:
        """Move the executed notebook to the build folder; end and remove everything else."""
        target = folder / f"{self.result.lesson.name}.ipynb"
        text = ""
        with contextlib.suppress(OSError, ValueError):  # ended in the middle of writing it
            text = self.executed.read_text(encoding="utf-8")
            json.loads(text)
        _end([self])  # also what a lesson that went well has left running
        try:
            target.unlink(missing_ok=True)
            if text:
                write_text(target, text)
                self.result.notebook = target
        except (OSError, InputError) as error:
            self.result.fail(f"the executed notebook could not be kept: {error}")


def _end(executions: Sequence[_Execution]) -> None:
    """End the processes and everything that they have started; remove their folders."""
    end_family({execution.folder.name for execution in executions})
    for execution in executions:
        execution.process.kill()  # does nothing to one that has ended
        execution.process.wait()
        execution.process.stdin.close()
        execution.folder.cleanup()
