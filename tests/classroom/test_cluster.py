"""On a cluster the records are the same, and a worker that is killed loses nothing."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbformat import v4
from toy_class import CHAPTER, STUDENTS, Here, Limits, content, named

from transferlab.errors import InputError
from transferlab.kit.classroom import cluster
from transferlab.kit.classroom.collect import collect
from transferlab.kit.classroom.deadlines import counted
from transferlab.kit.classroom.marking import job, mark_class
from transferlab.kit.classroom.records import Records
from transferlab.kit.lessons import find_lessons
from transferlab.kit.remote import run_on_cluster

pytest.importorskip("distributed", reason="distributed is not installed")


CLUSTER = """
import sys
import dask, distributed

if __name__ == "__main__":
    dask.config.set({"distributed.scheduler.allowed-failures": 0})
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with distributed.LocalCluster(host="127.0.0.1", **options) as made:
        print(made.scheduler_address, flush=True)
        sys.stdin.read()  # until the tests have ended
"""


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a cluster of two processes on this machine, which knows `toy_class`."""
    script = tmp_path_factory.mktemp("cluster") / "cluster.py"
    script.write_text(CLUSTER)
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    with subprocess.Popen(
        [sys.executable, str(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": path},
    ) as process:
        yield process.stdout.readline().strip()
        process.stdin.close()


@pytest.fixture
def handed_in(records: Records, edition, solved, tmp_path) -> Records:
    """A class of three: all right, one answer wrong, one unreadable."""
    files = {"s1": content(solved)}
    named(solved, "halve")["source"] = "def halve(n):\n    return n // 2"
    files |= {"s2": content(solved), "s3": b"[" * 100_000}
    for student, data in files.items():
        path = tmp_path / "in" / student / "exercises.ipynb"
        path.parent.mkdir(parents=True)
        path.write_bytes(data)
    collect(records, CHAPTER, tmp_path / "in", edition.grade_ids)
    return records


def outcome(records: Records) -> dict[str, tuple]:
    found = {}
    for student in STUDENTS:
        marking = records.marking(counted(records, CHAPTER)[student.id].submission)
        checks = [(c.name, c.status, c.points, c.message) for c in marking.checks]
        found[student.id] = marking.status, marking.reason, checks
    return found


def test_the_same_records_come_from_one_from_two_and_from_a_cluster(
    handed_in: Records, edition, scheduler: str
) -> None:
    found = []
    for options in ({"jobs": 1}, {"jobs": 2}, {"on": scheduler}):
        done = mark_class(handed_in, edition, Here(), Limits(), **options)
        assert (done.counts.total(), done.not_marked) == (3, [])
        found.append(outcome(handed_in))
        handed_in.database.execute("DELETE FROM markings")
    assert found[0] == found[1] == found[2]
    assert [found[0][s.id][0] for s in STUDENTS] == ["graded", "graded", "unreadable"]


def end_the_worker(*arguments: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_worker_that_is_killed_loses_nothing(
    handed_in: Records, edition, scheduler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("transferlab.kit.classroom.marking.job", end_the_worker)
        done = mark_class(handed_in, edition, Here(), Limits(), on=scheduler)
    assert (done.total, done.counts, len(done.not_marked)) == (3, {"unreadable": 1}, 2)
    assert all("orker" in line for line in done.not_marked), done.not_marked
    done = mark_class(handed_in, edition, Here(), Limits(), on=scheduler)
    assert (done.counts["graded"], done.not_marked) == (2, [])


def test_a_worker_of_another_version_marks_nothing(edition) -> None:
    with pytest.raises(InputError, match="this worker has another version of transferlab"):
        job(b"{}", edition, Here(), Limits(), "older")


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("tcp://10.0.0.5:8786", "anyone who can reach such a scheduler"),
        ("tcp://school.example:8786", "anyone who can reach such a scheduler"),
        ("8786", "expected an address such as tcp://127.0.0.1:8786"),
        ("tcp://127.0.0.1:9", "no dask scheduler answers at tcp://127.0.0.1:9"),
    ],
)
def test_an_address_that_is_open_or_wrong_is_refused(
    address: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "PATIENCE", 1)
    with pytest.raises(InputError, match=said), cluster.workers(1, address):
        pass


def test_without_dask_a_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    needed = pytest.raises(InputError, match="pip install distributed")
    with needed, cluster.workers(1, "tcp://127.0.0.1:8786"):
        pass


def write_lesson(course: Path, name: str, source: str) -> None:
    """Write a lesson that reads a table beside it."""
    parameters = v4.new_code_cell(
        'profile, device, seed = "class", "cpu", 0', metadata={"tags": ["parameters"]}
    )
    cells = [v4.new_markdown_cell(f"# {name}\n[table](table.csv)"), parameters]
    path = course / "01_a" / f"{name}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(v4.new_notebook(cells=[*cells, v4.new_code_cell(source)]), path)
    path.with_name("table.csv").write_text("id\n7\n")


def test_lessons_run_on_a_cluster_and_a_lost_worker_stops_no_other(
    scheduler: str, tmp_path: Path
) -> None:
    course, build = tmp_path / "course", tmp_path / "build"
    write_lesson(course, "01_good", "print(profile, seed, 6 * 7)")
    write_lesson(course, "02_bad", "1 / 0")
    lost = "import os, psutil, signal\nfor p in psutil.Process().parents():\n"
    lost += (
        "    if 'spawn_main' in ' '.join(p.cmdline()):\n        os.kill(p.pid, signal.SIGKILL)\n"
    )
    write_lesson(course, "03_lost", lost + "        break")
    lessons = find_lessons(course)
    results = run_on_cluster(scheduler, lessons, "smoke", "cpu", {"seed": 3}, build, {})
    assert [result.status for result in results] == ["ok", "failed", "failed"]
    good, bad, gone = results
    assert "smoke 3 42" in good.notebook.read_text() and good.seconds > 0 and good.peak_mib > 10
    assert good.notebook == build / "smoke/01_a/01_good.ipynb"
    assert "ZeroDivisionError" in bad.error
    assert gone.error.startswith("its worker did not finish it: ")
    assert "01_good" in (build / "smoke/report.html").read_text()
    with pytest.raises(InputError, match="profile='quick' is unknown; expected one of smoke"):
        run_on_cluster(scheduler, lessons, "quick", "cpu", {}, build, {})
    with pytest.raises(InputError, match="has no parameter 'speed'"):
        run_on_cluster(scheduler, lessons, "smoke", "cpu", {"speed": 1}, build, {})
