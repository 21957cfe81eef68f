"""Run one notebook in its own process, and report progress on standard output.

`run.py` starts this file as a script. It does not import torch, so that all memory and threads
belong to the lesson.
"""

import contextlib
import json
import os
import shutil
import sys
import textwrap
import threading
import time
from pathlib import Path

import papermill
import psutil
from jupyter_client import AsyncKernelManager
from nbclient.exceptions import DeadKernelError
from papermill.engines import NBClientEngine, papermill_engines
from papermill.exceptions import PapermillExecutionError

from transferlab.kit.family import MARK, end_family

LONGEST_ERROR = 500  # characters of one that a lesson raises


def report(**event: object) -> None:
    """Write one line for `run.py` to read."""
    print(json.dumps({"event": event}), flush=True)


def end_with_the_runner() -> None:
    """Wait until the runner has ended, however it ended; then end everything here as well.

    The runner holds the other end of standard input. The system closes it, even after a SIGKILL.
    """
    os.read(0, 1)
    folder = os.environ[MARK]
    end_family({folder})
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)


class RememberingManager(AsyncKernelManager):
    """Jupyter's own kernel manager, which also remembers the exit code of a kernel that died."""

    exit_code: int | None = None

    async def is_alive(self) -> bool:
        """Return whether the kernel is running."""
        alive = await super().is_alive()
        if not alive and getattr(self.provisioner, "process", None):
            RememberingManager.exit_code = self.provisioner.process.returncode
        return alive


class ReportingEngine(NBClientEngine):
    """papermill's own engine, which also reports each finished code cell."""

    @classmethod
    def execute_managed_notebook(cls, nb_man, kernel_name, **kwargs) -> None:
        """Run the cells, as papermill does."""
        complete, done = nb_man.cell_complete, 0

        def complete_and_report(cell, cell_index=None, **more) -> None:
            nonlocal done
            complete(cell, cell_index=cell_index, **more)
            failed = cell.metadata.papermill.get("exception") or sys.exc_info()[0]  # dead kernel
            if is_own_code(cell) and not failed:
                done += 1
                report(cells_done=done)

        nb_man.cell_complete = complete_and_report
        super().execute_managed_notebook(
            nb_man, kernel_name, kernel_manager_class=RememberingManager, **kwargs
        )


def is_own_code(cell) -> bool:
    """Return whether a cell is the lesson's code, not the parameters that papermill injected."""
    tags = cell["metadata"].get("tags", [])
    return cell["cell_type"] == "code" and "injected-parameters" not in tags


class PeakMemory(threading.Thread):
    """Samples twice a second how much memory all child processes use together.

    Counting shares takes 40 ms of a core, so it is done only where several processes can share.
    """

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.bytes = 0
        self.stopped = threading.Event()

    def run(self) -> None:
        """Sample until `stop` is called."""
        while not self.stopped.wait(0.5):
            total = 0
            processes = psutil.Process().children(recursive=True)
            alone = len(processes) == 1
            for process in processes:
                with contextlib.suppress(psutil.Error):  # it has just ended
                    memory = process.memory_info() if alone else process.memory_full_info()
                    # pss, on Linux: a library that several processes share counts once
                    total += getattr(memory, "pss", memory.rss)
            self.bytes = max(self.bytes, total)

    def stop(self) -> float:
        """Return the peak in MiB: the largest sample, or the system's record if that is larger."""
        self.stopped.set()
        self.join()
        with contextlib.suppress(ImportError):  # Windows has no such record
            import resource

            largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
            self.bytes = max(self.bytes, largest * (1 if sys.platform == "darwin" else 1024))
        return self.bytes / 2**20


def run_notebook(source: Path, target: Path, cwd: Path, parameters: dict[str, object]) -> str:
    """Run a notebook and return what went wrong, or an empty string."""
    papermill_engines.register("reporting", ReportingEngine)
    try:
        papermill.execute_notebook(
            source,
            target,
            parameters,
            engine_name="reporting",
            kernel_name="python3",
            language="python",
            progress_bar=False,
            cwd=cwd,
        )
    except PapermillExecutionError as error:
        first_line = textwrap.shorten(error.source.strip().partition("\n")[0], 60, placeholder=" …")
        last_line = f"{error.ename}: {error.evalue}".strip().splitlines()[-1]
        if not last_line.startswith(error.ename):
            last_line = f"{error.ename}: {last_line}"
        if len(last_line) > LONGEST_ERROR:
            last_line = f"{last_line[:LONGEST_ERROR]} … ({len(last_line):,} characters)"
        # papermill has inserted two cells of its own before the failing one
        cells = json.loads(target.read_text(encoding="utf-8"))["cells"][: error.cell_index + 3]
        return f"code cell {count_own_code(cells)} ({first_line}): {last_line}"
    except DeadKernelError:
        cells = json.loads(target.read_text(encoding="utf-8"))["cells"]
        begun = [cell for cell in cells if cell["metadata"]["papermill"].get("start_time")]
        return f"the kernel ended in code cell {count_own_code(begun)} {how_it_ended()}."
    except RuntimeError as error:
        return f"the kernel did not start: {error}"
    except Exception as error:  # such as a notebook that nbformat refuses, or a full disk
        first_line = f"{type(error).__name__}: {error}".splitlines()[0]
        return f"the notebook cannot be run: {first_line[:LONGEST_ERROR]}"
    return ""


def how_it_ended() -> str:
    """Return what is known about the end of the kernel: its exit code, or a signal."""
    code = RememberingManager.exit_code
    if code is None:
        return "without an exit code"
    how = f"with exit code {code}" if code >= 0 else f"by signal {-code}"
    return f"{how}; the usual cause is a lack of memory" if code in (-9, 137) else how


def count_own_code(cells: list[dict]) -> int:
    """Return how many of these cells are the lesson's own code."""
    return sum(is_own_code(cell) for cell in cells)


def main(source: str, target: str, cwd: str, parameters: str) -> None:
    """Run one notebook; every argument comes from `run.py`."""
    threading.Thread(target=end_with_the_runner, daemon=True).start()
    memory = PeakMemory()
    memory.start()
    started = time.perf_counter()
    error = run_notebook(Path(source), Path(target), Path(cwd), json.loads(parameters))
    seconds = time.perf_counter() - started
    report(seconds=seconds, peak_mib=memory.stop(), error=error)


if __name__ == "__main__":
    main(*sys.argv[1:])
