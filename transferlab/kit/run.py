"""Run lessons headlessly: each in its own process, several at once."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from transferlab.device import choose_device, cpu_quota
from transferlab.errors import InputError
from transferlab.kit import kernel
from transferlab.kit.lessons import Lesson, check_parameters
from transferlab.kit.notebooks import write_text
from transferlab.kit.progress import Progress
from transferlab.kit.report import Report
from transferlab.kit.results import LIMITS, Result, duration

EXECUTE = Path(__file__).with_name("execute.py")
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


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
    if profile not in LIMITS:
        raise InputError(f"profile={profile!r} is unknown; expected one of {', '.join(LIMITS)}.")
    choose_device(device)  # fail once here rather than in every lesson
    parameters = {"profile": profile, "device": device, **(parameters or {})}
    for lesson in lessons:
        check_parameters(lesson, parameters)
    cores = max(1, int(cpu_quota()))
    jobs = min(jobs or (1 if profile == "full" else cores), len(lessons))
    environment = _environment(profile, device, threads or max(1, cores // jobs))

    results = [Result(lesson, LIMITS[profile]) for lesson in lessons]
    # The longest lessons go first: one that began last would keep a core busy, the others idle.
    usual = usual_seconds or {}
    waiting = sorted(results, key=lambda r: usual.get(r.lesson.name, 0), reverse=True)
    running = []
    report = Report(build / profile, profile, device)
    report.write(results)
    with Progress(profile, jobs, usual) as progress:
        try:
            while waiting or running:
                while waiting and len(running) < jobs:
                    running.append(_Execution(waiting.pop(0), parameters, environment, timeout))
                    progress.started(running[-1].result)
                    report.write(results)
                for execution in list(running):
                    if execution.poll():
                        running.remove(execution)
                        execution.keep_notebook(build / profile)
                        progress.finished(execution.result, results)
                        report.write(results)
                progress.update(results)
                time.sleep(0.1)
        finally:  # after Ctrl-C, some are still running
            for execution in running:
                execution.end()
            unfinished = [result for result in results if not result.done]
            for result in unfinished:
                result.status = "stopped"
            if unfinished:
                report.write(results)
    return results


def _environment(profile: str, device: str, threads: int) -> dict[str, str]:
    """Return the environment variables of a lesson."""
    environment = os.environ | kernel.environment() | dict.fromkeys(THREAD_VARIABLES, str(threads))
    environment |= {"TRANSFERLAB_PROFILE": profile, "TRANSFERLAB_DEVICE": device}
    environment["TQDM_DISABLE"] = "1"  # nobody watches a bar
    environment["JUPYTER_PREFER_ENV_PATH"] = "1"  # this Python's kernel, not one of the home folder
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
                env={**environment, "IPYTHONDIR": str(folder / "ipython")},
                stdin=subprocess.DEVNULL,
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
            self.result.finish(
                self.result.seconds, 0.0, f"the notebook's process ended early: {last}"
            )
        elif self.timeout and self.result.seconds > self.timeout:
            self.end()
            where = f"code cell {self.result.cells_done + 1}"
            message = f"ended after {duration(self.timeout)} without a result, in {where}."
            self.result.finish(self.result.seconds, 0.0, message)
        return self.result.done

    def _events(self) -> list[dict[str, Any]]:
        whole_lines = self.log.read_bytes().split(b"\n")[:-1]
        new, self.lines_read = whole_lines[self.lines_read :], len(whole_lines)
        events = []
        for line in new:  # other lines are output of the kernel or of a library
            with contextlib.suppress(ValueError, KeyError, TypeError):
                events.append(json.loads(line)["event"])
        return events

    def end(self) -> None:
        """End the process and everything that it has started."""
        import psutil

        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(self.process.pid)
            family = [*process.children(recursive=True), process]
            for member in family:
                with contextlib.suppress(psutil.NoSuchProcess):
                    member.kill()
            psutil.wait_procs(family, timeout=5)
        self.process.wait()

    def keep_notebook(self, folder: Path) -> None:
        """Move the executed notebook to the build folder and remove everything else."""
        target = folder / f"{self.result.lesson.name}.ipynb"
        target.unlink(missing_ok=True)
        with contextlib.suppress(OSError, ValueError):  # ended in the middle of writing it
            text = self.executed.read_text(encoding="utf-8")
            json.loads(text)
            write_text(target, text)
            self.result.notebook = target
        self.folder.cleanup()
