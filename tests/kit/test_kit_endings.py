"""However a run ends, no process is left, and the report does not say that it goes on."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from toy_course import write_lesson

from transferlab.kit import run
from transferlab.kit.lessons import find_lessons
from transferlab.kit.run import run_lessons

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs fork and signals")

MARK = "TRANSFERLAB_TEST"
READY = (
    "import os, subprocess, time\nopen(os.environ['TRANSFERLAB_TEST'] + '/ready', 'w').close()\n"
)
BUSY = f"{READY}while True: pass"
SESSION = (
    "import os, subprocess, time\nsubprocess.Popen(['sleep', '600'], start_new_session=True)\n"
)
TWO_FORKS = """import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execvp("sleep", ["sleep", "600"])
    os._exit(0)
os.wait()
"""
EMPTIED = "import os, subprocess, time\nsubprocess.Popen(['sleep', '600'], env={})\n"
SLEEP = "time.sleep(600)"


def of(folder: Path) -> list[psutil.Process]:
    """Return the running processes that a run in this folder has started."""
    found = []
    for process in psutil.process_iter(["name", "environ", "cwd"]):
        marked = (process.info["environ"] or {}).get(MARK) == str(folder)
        inside = (process.info["cwd"] or "").startswith(
            f"{folder}/"
        )  # its environment may be empty
        if (marked or inside) and process.pid != os.getpid():
            found.append(process)
    return found


def left(folder: Path) -> list[str]:
    """Return their names."""
    return [process.info["name"] for process in of(folder)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv(MARK, str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))  # for this process
    (tmp_path / "temporary").mkdir()
    yield tmp_path
    for process in of(tmp_path):  # when a test has failed
        process.kill()


def hear_signals() -> None:
    """Undo what a shell's background job is deaf to (Ctrl-C), and nohup (a closed terminal)."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def end(folder: Path, lesson: str, *signals: int) -> tuple[int, str, str]:
    """Start `transferlab run`, send signals; return the exit code, the errors and the report."""
    write_lesson(folder / "course", "01_a/01_hangs", lesson)
    write_lesson(folder / "course", "01_a/02_waits", "x = 1")
    command = [sys.executable, "-c", "from transferlab.kit.cli import app; app()", "run"]
    process = subprocess.Popen(
        [*command, "--jobs", "1"],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=hear_signals,
    )
    wait_until(lambda: (folder / "ready").exists())
    assert len(left(folder)) >= 3
    for number in signals:
        process.send_signal(number)
        time.sleep(0.05)
    _, errors = process.communicate(timeout=60)
    page = folder / "build" / "class" / "report.html"
    return process.returncode, errors, page.read_text(encoding="utf-8")


def wait_until(true) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("lesson", "signals", "code"),
    [
        (BUSY, [signal.SIGINT], 130),
        (TWO_FORKS + READY + SLEEP, [signal.SIGINT, signal.SIGINT, signal.SIGTERM], 130),
        (SESSION + READY + SLEEP, [signal.SIGTERM], 143),
        (BUSY, [signal.SIGHUP, signal.SIGINT], 129),
    ],
)
def test_the_first_signal_ends_everything(folder: Path, lesson, signals, code) -> None:
    found, errors, page = end(folder, lesson, *signals)
    assert found == code
    assert errors == "ending lessons …\n"
    assert left(folder) == []
    assert not [*(folder / "temporary").glob("transferlab-*")]
    assert "2 interrupted." in page
    assert 'http-equiv="refresh"' not in page


@pytest.mark.parametrize("lesson", [BUSY, TWO_FORKS + READY + SLEEP])
def test_lessons_end_with_a_runner_that_was_killed(folder: Path, lesson: str) -> None:
    _, _, page = end(folder, lesson, signal.SIGKILL)
    wait_until(lambda: left(folder) == [])
    assert not [*(folder / "temporary").glob("transferlab-*")]
    assert "Was running at " in page
    assert "never more than a minute old; if it is, the run has" in page


def test_what_a_lesson_has_hidden_ends_at_the_timeout(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    poll, course = run._Execution.poll, folder / "course"

    def poll_when_it_has_hidden(execution: run._Execution) -> bool:
        ready = (folder / execution.result.lesson.path.stem).exists()
        execution.timeout = 0.1 if ready else None
        return poll(execution)

    monkeypatch.setattr(run._Execution, "poll", poll_when_it_has_hidden)
    for name, hide in (("01_session", SESSION), ("02_forks", TWO_FORKS), ("03_emptied", EMPTIED)):
        ready = f"open({str(folder / name)!r}, 'w').close()"
        write_lesson(course, f"01_a/{name}", f"{hide}\n{ready}\n{SLEEP}")
    results = run_lessons(find_lessons(course), "smoke", "cpu", jobs=3, build=folder / "build")
    assert ["without a result, in code cell" in r.error for r in results] == [True] * 3
    assert left(folder) == []
    assert not psutil.Process().children(recursive=True)


def test_what_a_lesson_leaves_running_ends_with_it(folder: Path) -> None:
    write_lesson(folder / "course", "01_a/01_two_forks", TWO_FORKS)
    (result,) = run_lessons(find_lessons(folder / "course"), "smoke", "cpu", build=folder / "build")
    assert result.status in ("ok", "slow"), result.error
    assert left(folder) == []
