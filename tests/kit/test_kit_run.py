"""Running lessons: what is measured, what is reported, and what happens when one goes wrong."""

import errno
import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import nbformat
import psutil
import pytest
from nbformat import v4
from toy_course import write_lesson

from transferlab.kit import execute, run
from transferlab.kit.lessons import find_lessons
from transferlab.kit.progress import cores_used
from transferlab.kit.report import Report
from transferlab.kit.results import LIMITS, Result

PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
    "+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
FIGURE = f"""from IPython.display import display
display({{"image/png": "{PNG}"}}, metadata={{"image/png": {{"alt": "A <dot>."}}}}, raw=True)"""
CLAIM = """numbers = {"mean": 11.5, "low": 9.4, "high": 13.6, "unit": "points"}
claims = [
    {"name": "the dot is red", **numbers, "verdict": "holds"},
    {"name": "it is a dot", **dict.fromkeys(numbers), "unit": "", "verdict": "holds"},
]
display({"text/plain": "claims"}, raw=True, metadata={"transferlab_claims": claims})"""
SURROUNDINGS = """import os, json
keys = ["OMP_NUM_THREADS", "TRANSFERLAB_PROFILE", "TRANSFERLAB_DEVICE", "TRANSFERLAB_OFFLINE"]
keys += ["TQDM_DISABLE", "OMP_WAIT_POLICY"]
print(json.dumps([os.getcwd(), os.listdir(), profile, seed, *[os.environ.get(k) for k in keys]]))"""
NETWORK = """from transferlab import lesson
lesson.start(profile, device, seed)
import urllib.request
urllib.request.urlopen("http://192.0.2.1/", timeout=5)"""


@dataclass
class Toy:
    """A finished run of a toy course."""

    results: dict[str, Result]
    pages: list[str]  # the report each time it was written
    output: str
    build: Path


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Toy]:
    """Run a good lesson, one that fails, one whose kernel dies and one that wants the network."""
    folder = tmp_path_factory.mktemp("toy")
    course = folder / "course"
    write_lesson(course, "01_a/01_good", FIGURE, CLAIM, SURROUNDINGS, title="A good one")
    write_lesson(course, "01_a/02_fails", "x = 1", "raise ValueError('first\\nno such luck')")
    write_lesson(course, "01_a/03_dies", "import os\nos._exit(3)")
    write_lesson(course, "02_b/01_network", NETWORK)
    pages: list[str] = []

    class Recording(run.Report):
        def write(self, results: list[Result]) -> None:
            super().write(results)
            pages.append(self.path.read_text(encoding="utf-8"))

    with pytest.MonkeyPatch.context() as patch, (folder / "output").open("w") as output:
        patch.setattr(run, "Report", Recording)
        patch.setattr(sys, "stdout", output)
        results = run.run_lessons(
            find_lessons(course),
            "smoke",
            "cpu",
            {"seed": 7},
            jobs=2,
            build=folder / "build",
            usual_seconds={"01_a/01_good": 30.0, "02_b/01_network": 50.0},
        )
    by_name = {result.lesson.name: result for result in results}
    yield Toy(by_name, pages, (folder / "output").read_text(), folder / "build")


def test_a_good_lesson_is_ok_and_measured(toy: Toy) -> None:
    result = toy.results["01_a/01_good"]
    assert result.status in ("ok", "slow"), result.error
    assert 0.3 < result.seconds < 60
    assert 20 < result.peak_mib < 1000
    assert result.cells_text == "4/4"


def test_a_lesson_runs_in_an_empty_folder_with_its_share_of_threads(toy: Toy) -> None:
    notebook = json.loads(toy.results["01_a/01_good"].notebook.read_text())
    cwd, content, *rest = json.loads("".join(notebook["cells"][-1]["outputs"][0]["text"]))
    assert content == []
    assert not Path(cwd).exists()  # it is removed afterwards
    threads = str(max(1, int(run.cpu_quota()) // 2))
    assert rest[:6] == ["smoke", 7, threads, "smoke", "cpu", "1"]
    assert rest[6:] == ["1", os.environ.get("OMP_WAIT_POLICY", "PASSIVE")]  # no bars, no spinning


def test_a_failing_lesson_names_the_cell_and_the_last_line(toy: Toy) -> None:
    result = toy.results["01_a/02_fails"]
    assert result.status == "failed"
    assert result.error.startswith("code cell 3 (raise ValueError")
    assert result.error.endswith("ValueError: no such luck")
    assert "no such luck" in result.notebook.read_text()


def test_a_dead_kernel_is_said_and_the_others_go_on(toy: Toy) -> None:
    said = toy.results["01_a/03_dies"].error
    assert said == "the kernel ended in code cell 2 with exit code 3."
    assert all(result.done for result in toy.results.values())


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (1, "with exit code 1"),
        (-11, "by signal 11"),
        (-9, "by signal 9; the usual cause is a lack of memory"),
        (137, "with exit code 137; the usual cause is a lack of memory"),
        (None, "without an exit code"),
    ],
)
def test_only_a_kill_hints_at_memory(
    monkeypatch: pytest.MonkeyPatch, code: int | None, words: str
) -> None:
    monkeypatch.setattr(execute.RememberingManager, "exit_code", code)
    assert execute.how_it_ended() == words


def test_a_lesson_that_leaves_the_machine_fails(toy: Toy) -> None:
    result = toy.results["02_b/01_network"]
    assert result.status == "failed"
    assert "without a network; it tried to reach 192.0.2.1" in result.error


def test_plain_lines_tell_start_end_count_and_time_left(toy: Toy) -> None:
    lines = toy.output.splitlines()
    assert sum(line.startswith("start  ") for line in lines) == 4
    assert [line for line in lines if line.startswith("failed 01_a/02_fails")]
    assert "(4/4)" in toy.output
    assert " left" in toy.output
    assert "ValueError: no such luck" in toy.output


def test_the_report_grows_lesson_by_lesson(toy: Toy) -> None:
    first, last = toy.pages[0], toy.pages[-1]
    assert first.count("waiting</span>") >= 4
    assert 'http-equiv="refresh"' in first
    done = [page.count("Read the executed lesson") for page in toy.pages]
    assert done[0] == 0
    assert sorted(done) == done
    assert set(done) == {0, 1, 2, 3, 4}
    assert 'http-equiv="refresh"' not in last


def test_the_report_shows_figures_claims_and_errors_and_needs_no_network(toy: Toy) -> None:
    page = toy.pages[-1]
    assert f"data:image/png;base64,{PNG}" in page
    assert 'alt="A &lt;dot&gt;."' in page
    assert "the dot is red" in page
    assert "9.4 to 13.6" in page
    assert "ValueError: no such luck" in page
    assert "of 15 s" in page
    for text in (page, (toy.build / "smoke/01_a/01_good.html").read_text()):
        assert "http://" not in text.replace("http://192.0.2.1", "").replace("http-equiv", "")
        assert "https://" not in text
    assert "01_a/01_good.html" in page


def test_the_longest_lesson_goes_first(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    for name in ("01_a/01_short", "01_a/02_long", "01_a/03_unknown"):
        write_lesson(tmp_path / "course", name, "x = 1")
    usual = {"01_a/01_short": 1.0, "01_a/02_long": 2.0}
    lessons = find_lessons(tmp_path / "course")
    results = run.run_lessons(
        lessons, "smoke", jobs=1, build=tmp_path / "build", usual_seconds=usual
    )
    lines = capsys.readouterr().out.splitlines()
    started = [line.split("/")[1] for line in lines if line.startswith("start")]
    assert started == ["02_long", "01_short", "03_unknown"]
    assert [result.lesson for result in results] == lessons  # the table keeps the course's order


def test_the_last_line_says_how_many_lessons_ran_at_once() -> None:
    results = [Result(None, LIMITS["smoke"], seconds=seconds) for seconds in (50.0, 40.0)]
    assert cores_used(results, 60.0) == (
        "2 lessons, 1 min 30 s in all, done in 1 min 00 s: 1.50 lessons at once"
    )


def test_a_lesson_that_hangs_is_ended(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    write_lesson(tmp_path / "course", "01_a/01_hangs", "import time\ntime.sleep(600)")
    started = time.perf_counter()
    lessons = find_lessons(tmp_path / "course")
    (result,) = run.run_lessons(lessons, "smoke", build=tmp_path / "build", timeout=5)
    assert time.perf_counter() - started < 30
    assert result.status == "failed"
    assert result.error.startswith("ended after 5 s without a result, in code cell ")
    assert not psutil.Process().children(recursive=True)
    assert "ended after 5 s" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["05_none"], "no lesson matches '05_none'; there are 01_a/01_good"),
        (["--profile", "fast"], "profile='fast' is unknown; expected one of smoke, class, full"),
        (["--device", "tpu"], "device='tpu' is unknown; expected one of auto, cpu"),
        (["--set", "sed=1"], "01_a/01_good has no parameter 'sed'; it has profile, device, seed"),
        (["--set", "seed"], "--set 'seed' is no parameter; expected name=value"),
        (["--set", "profile=full"], "use --profile instead"),
        (["--course", "nowhere"], "there is no folder 'nowhere' here"),
    ],
)
def test_bad_input_gets_one_sentence_and_leaves_nothing(
    command: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments, sentence
) -> None:
    write_lesson(tmp_path / "course", "01_a/01_good", "x = 1")
    monkeypatch.chdir(tmp_path)
    code, output, error = command("run", *arguments)
    assert (code, output) == (2, "")
    assert sentence in error
    assert len(error.strip().splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["course"]


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        (("--build", "file/x"), "cannot be written: Not a directory."),
        (("--build", "x" * 300), "File name too long."),
        (("--course", "x" * 300), "File name too long."),
        (("--build", "/proc/x"), "/proc/x/class/report.html cannot be written: "),
    ],
)
def test_a_folder_that_cannot_be_written_is_refused_before_the_run(
    command: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option, sentence
) -> None:
    if option[1].startswith("/proc") and not Path("/proc/self").exists():
        pytest.skip("needs /proc")
    write_lesson(tmp_path / "course", "01_a/01_good", "x = 1")
    (tmp_path / "file").touch()
    monkeypatch.chdir(tmp_path)
    code, output, error = command("run", *option)
    assert (code, output) == (2, "")
    assert sentence in error.splitlines()[-1]


def test_a_disk_that_fills_up_ends_in_a_sentence(
    command: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_lesson(tmp_path / "course", "01_a/01_good", "x = 1")
    monkeypatch.chdir(tmp_path)
    write, calls = os.fsync, []

    def full(number: int) -> None:
        calls.append(number)
        if len(calls) > 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(number)

    monkeypatch.setattr(os, "fsync", full)
    code, _, error = command("run")
    assert code == 2
    assert error.splitlines()[-1].endswith("cannot be written: No space left on device.")
    assert not psutil.Process().children(recursive=True)


def test_a_page_of_50_mb_says_what_it_left_out(tmp_path: Path) -> None:
    long = v4.new_output("stream", text="x" * 50_000_000)
    table = v4.new_output(
        "display_data", {"text/html": "<b>" * 20_000_000, "text/plain": "a table"}
    )
    trace = v4.new_output("error", ename="E", evalue="", traceback=["y" * 30_000_000] * 2)
    short = v4.new_output("stream", text="a short one")
    cells = [v4.new_code_cell("x", outputs=[long, table, trace, short])]
    path = tmp_path / "class" / "executed.ipynb"
    path.parent.mkdir()
    nbformat.write(v4.new_notebook(cells=cells), path)
    lesson = run.Lesson(path, "executed", "A long one")
    result = Result(lesson, LIMITS["class"], "ok", notebook=path)
    Report(tmp_path / "class", "class", "cpu").write([result])
    page = path.with_suffix(".html").read_text(encoding="utf-8")
    assert len(page) < 500_000
    assert "… 49,950,000 more characters were left out of this page." in page
    assert "… 60,000,000 characters of text/html were left out of this page." in page
    assert "… 59,950,001 more characters were left out" in page
    assert "a table" in page and "a short one" in page


def test_an_output_that_makes_no_page_fails_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Report, "_write_lesson", lambda self, result: 1 / 0)
    path = write_lesson(tmp_path, "01_a/01_good")
    result = Result(run.Lesson(path, "01_a/01_good", "t"), LIMITS["class"], "ok", notebook=path)
    Report(tmp_path, "class", "cpu").write([result])
    assert result.error == "its page could not be made: ZeroDivisionError: division by zero"
    assert result.error in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_the_page_of_a_run_says_when_it_was_written_and_is_kept_up_to_date(
    toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert re.search(r"Was running at \d\d:\d\d:\d\d\. While it runs, this", toy.pages[0])
    assert "Was running" not in toy.pages[-1]
    monkeypatch.setattr(run, "HEARTBEAT", 0.2)
    write, written = Report.write, []
    monkeypatch.setattr(Report, "write", lambda *a: (written.append(1), write(*a)))
    write_lesson(tmp_path / "course", "01_a/01_slow", "import time\ntime.sleep(1)")
    run.run_lessons(find_lessons(tmp_path / "course"), "smoke", build=tmp_path / "build")
    assert len(written) > 5  # without a heartbeat: three


def test_over_the_budget_is_slow_and_not_failed(tmp_path: Path) -> None:
    path = write_lesson(tmp_path, "01_a/01_good")
    result = Result(run.Lesson(path, "01_a/01_good", "t", 1, "", (), 3), LIMITS["class"])
    result.finish(seconds=61, peak_mib=100, error="")
    assert (result.status, result.time_text) == ("slow", "61 s of 60 s")
    result.finish(seconds=10, peak_mib=2049, error="")
    assert (result.status, result.memory_text) == ("slow", "2.0 GiB of 2.0 GiB")
    result.finish(seconds=61, peak_mib=100, error="it broke")
    assert result.status == "failed"
