"""However a run ends, no process is left, and the report does not say that it goes on."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from toy_course import write_lesson

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


def left(folder: Path) -> list[str]:
    """Return the names of the running processes that a run in this folder has started."""
    names = []
    for process in psutil.process_iter(["name", "environ", "cwd"]):
        marked = (process.info["environ"] or {}).get(MARK) == str(folder)
        if marked and process.pid != os.getpid():
            names.append(process.info["name"])
    return names


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv(MARK, str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    yield tmp_path
    for process in psutil.process_iter(["environ"]):  # when a test has failed
        if (process.info["environ"] or {}).get(MARK) == str(
            tmp_path
        ) and process.pid != os.getpid():
            process.kill()


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
        # a shell starts background jobs, and so perhaps these tests, deaf to Ctrl-C
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
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


def test_what_a_lesson_has_hidden_ends_with_it(folder: Path) -> None:
    course = folder / "course"
    write_lesson(course, "01_a/01_session", SESSION + SLEEP)
    write_lesson(course, "01_a/02_two_forks", TWO_FORKS + SLEEP)
    write_lesson(course, "01_a/03_two_forks_left", TWO_FORKS)
    write_lesson(course, "01_a/04_emptied", EMPTIED + SLEEP)
    results = run_lessons(
        find_lessons(course), "smoke", "cpu", jobs=4, build=folder / "build", timeout=15
    )
    assert [r.status for r in results] == ["failed", "failed", "ok", "failed"]
    assert results[0].error == "ended after 15 s without a result, in code cell 2."
    assert left(folder) == []
    assert not psutil.Process().children(recursive=True)
