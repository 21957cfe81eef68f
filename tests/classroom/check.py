"""What must hold in the classroom, measured: `make classroom-check` (half an hour).

A class of simulated students hands in one chapter: perfect, wrong, clumsy and hostile in known
ways, so that it is known what each deserves. It is marked by the commands as a teacher types them,
and the marking is killed again and again. Then the kinds of attack are counted, each of which is a
test. The table goes to the terminal, everything to `build/classroom.md`.
"""

import argparse
import copy
import json
import random
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from transferlab.files import text_table
from transferlab.kit.classroom.deadlines import counted
from transferlab.kit.classroom.edition import Edition, about, read_edition
from transferlab.kit.classroom.records import Records
from transferlab.kit.notebooks import read_json, source_of

ROOT = Path(__file__).parents[2]
CHAPTER = "07_challenges"
WRONG = ROOT / "tests/notebooks/wrong" / CHAPTER
ATTACKS = ("test_sandbox.py", "test_inside.py", "test_judging.py", "test_collect.py")
ATTACKS += ("test_clumsy.py", "test_feedback.py", "test_formgrader.py")
Notebook = dict[str, Any]
Loses = dict[str, str]  # exercise that gets no points -> what its student must be told


# ---- the students --------------------------------------------------------------------------------


class Student:
    """One simulated student: a perfect submission, to be spoilt in a known way."""

    def __init__(self, edition: Edition, chance: random.Random) -> None:
        self.chance = chance
        self.notebook = copy.deepcopy(read_json(ROOT / "course" / CHAPTER / "exercises.ipynb"))
        self.exercises = []
        for solved in edition.solved:
            entry = about(solved)
            if entry.get("solution"):
                self.cell(entry["grade_id"])["source"] = source_of(solved)
                if solved["cell_type"] == "code":
                    self.exercises.append(entry["grade_id"])
        self.one = chance.choice(self.exercises)
        self.file = "exercises.ipynb"
        self.content: bytes | None = None

    def cell(self, name: str) -> dict[str, Any]:
        """Return the cell of a name."""
        return next(c for c in self.notebook["cells"] if about(c).get("grade_id") == name)

    def answer(self, source: str) -> None:
        self.cell(self.one)["source"] = source

    def handed_in(self) -> bytes:
        return self.content or json.dumps(self.notebook).encode()


def perfect(student: Student) -> Loses:
    return {}


def untouched(student: Student) -> Loses:
    student.notebook = read_json(ROOT / "course" / CHAPTER / "exercises.ipynb")
    names = [about(c)["grade_id"] for c in student.notebook["cells"] if about(c).get("solution")]
    return dict.fromkeys(names, "was not answered")


def known_wrong(student: Student) -> Loses:
    path = student.chance.choice(sorted(WRONG.glob(f"{student.one}_*.py")))
    student.answer(path.read_text())
    return {student.one: re.search(r"expected: (.*)", path.read_text())[1]}


def half_done(student: Student) -> Loses:
    released = read_json(ROOT / "course" / CHAPTER / "exercises.ipynb")["cells"]
    left = student.chance.sample(student.exercises, 3)
    for name in left:
        stub = next(c for c in released if about(c).get("grade_id") == name)
        student.cell(name)["source"] = source_of(stub)
    return dict.fromkeys(left, "was not answered")


def raises(student: Student) -> Loses:
    student.answer(f"def {student.one}(*inputs, **named):\n    return inputs[99]")
    return {student.one: "IndexError"}


def no_python(student: Student) -> Loses:
    student.answer(f"def {student.one}(:\n    return")
    return {student.one: "SyntaxError"}


def ends_the_process(student: Student) -> Loses:
    student.answer(f"import os\ndef {student.one}(*inputs, **named):\n    os._exit(0)")
    return {student.one: "ended"}


def loops(student: Student) -> Loses:
    student.answer(f"def {student.one}(*inputs, **named):\n    while True: pass")
    return {student.one: "did not end"}


def warns(student: Student) -> Loses:
    source = source_of(student.cell(student.one))
    noise = 'import sys, warnings\nwarnings.warn("old")\nprint("50 %", file=sys.stderr)\n'
    student.answer(noise + source)
    return {}


def check_deleted(student: Student) -> Loses:
    student.notebook["cells"].remove(student.cell(f"{student.one}_check"))
    return {}


def check_emptied(student: Student) -> Loses:
    student.cell(f"{student.one}_check")["source"] = "print('Correct')"
    return {}


def first_try_kept(student: Student) -> Loses:
    again = copy.deepcopy(student.cell(student.one))
    student.answer(f"def {student.one}(*inputs, **named):\n    return 1")
    student.notebook["cells"].append(again)
    return {}


def renamed(student: Student) -> Loses:
    about(student.cell(student.one))["grade_id"] = "mine"
    return {}


def without_metadata(student: Student) -> Loses:
    for cell in student.notebook["cells"]:
        cell["metadata"] = {}
        cell.pop("id", None)
    return {}


def turned_round(student: Student) -> Loses:
    student.notebook["cells"].reverse()
    return {}


def second_download(student: Student) -> Loses:
    student.file = "exercises (1).ipynb"
    return {}


def other_tools(student: Student) -> Loses:
    student.notebook["metadata"]["kernelspec"] = {"name": "julia", "display_name": "Julia"}
    student.notebook["nbformat_minor"] = 2
    return {}


def checks_skipped(student: Student) -> Loses:
    for cell in student.notebook["cells"]:
        cell["metadata"]["tags"] = ["skip-execution"]
    student.answer(f"def {student.one}(*inputs, **named):\n    return 1")
    return {student.one: ""}


def equals_everything(student: Student) -> Loses:
    student.answer(
        "class All(float):\n"
        "    __eq__ = __le__ = __ge__ = lambda *a: True\n"
        "    __ne__ = __lt__ = __gt__ = lambda *a: False\n"
        f"def {student.one}(*inputs, **named):\n    return All(1)"
    )
    return {student.one: ""}


def patches_assert(student: Student) -> Loses:
    student.answer(
        "import builtins, math\nbuiltins.AssertionError = None\n"
        "math.isclose = lambda *a, **k: True\n"
        f"def {student.one}(*inputs, **named):\n    return 1"
    )
    return dict.fromkeys(student.exercises, "has replaced")  # nothing can be checked any more


def by_heart(student: Student) -> Loses:
    student.one = "vote_error"
    table = {p: 3 * p**2 - 2 * p**3 for p in (0.0, 0.05, 0.2, 0.5, 0.8, 0.7, 1.0)}
    student.answer(f"def vote_error(p):\n    return {table}.get(p, 0.5)")
    return {"vote_error": "Called with other inputs"}


def cut_off(student: Student) -> Loses:
    student.content = json.dumps(student.notebook).encode()[:-100]
    return dict.fromkeys(student.exercises, "")


HOSTILE = (checks_skipped, equals_everything, patches_assert, by_heart, ends_the_process)
KINDS: tuple[Callable[[Student], Loses], ...] = (
    *(perfect, untouched, known_wrong, known_wrong, known_wrong, half_done, raises, no_python),
    *(warns, check_deleted, check_emptied, first_try_kept, renamed, without_metadata),
    *(turned_round, second_download, other_tools, cut_off, *HOSTILE),
)


# ---- the class -----------------------------------------------------------------------------------


def command(*arguments: object, folder: Path) -> subprocess.Popen:
    """Start a command `transferlab class …` in the folder of a school."""
    places = ["--course", ROOT / "course", "--solutions", ROOT / "solutions"]
    places = [] if arguments[0] == "init" else places
    line = [Path(sys.executable).with_name("transferlab"), "class", *arguments, *places]
    return subprocess.Popen([str(part) for part in line], cwd=folder, stdout=subprocess.DEVNULL)


def hand_in(school: Path, number: int, edition: Edition) -> dict[str, tuple[str, Loses]]:
    """Write a roster and the download of a learning platform; return what each student deserves."""
    chance, deserved = random.Random(2026), {}
    with zipfile.ZipFile(school / "download.zip", "w") as archive:
        for n in range(number):
            # a loop takes as long as a submission may, so there are only a few
            kind = loops if n % 100 == 50 else KINDS[n % len(KINDS)]
            student = Student(edition, chance)
            deserved[f"s{n}"] = kind.__name__, kind(student)
            folder = f"Student No{n}_{n}_assignsubmission_file_"
            archive.writestr(f"{folder}/{student.file}", student.handed_in())
    rows = "".join(f"s{n},Student No{n}\n" for n in range(number))
    (school / "roster.csv").write_text(f"id,name\n{rows}")
    return deserved


def is_right(records: Records, student: str, loses: Loses) -> bool:
    """Return whether a student has got the points and the sentences that they deserve."""
    marking = records.marking(counted(records, CHAPTER)[student].submission)
    if marking is None:
        return False
    if marking.status == "unreadable":
        return len(loses) > 5 and not marking.checks
    for check in marking.checks:
        missed = check.exercise in loses
        if check.points is not None and check.points != (0.0 if missed else check.worth):
            return False
        if missed and loses[check.exercise] not in check.message:
            return False
    return True


def mark(school: Path, jobs: int, kills: int) -> tuple[float, int]:
    """Mark the class, killed at some moments; return seconds a submission, and how many counted."""
    chance, database = random.Random(7), school / "class" / "class.db"

    def marked() -> int:
        with sqlite3.connect(database) as opened:
            return opened.execute("SELECT count(*) FROM markings").fetchone()[0]

    for _ in range(kills):
        process = command("mark", CHAPTER, "--jobs", jobs, folder=school)
        time.sleep(chance.uniform(1, 20))
        for part in [*psutil.Process(process.pid).children(), process]:
            part.send_signal(signal.SIGKILL)
        process.wait()
    before, started = marked(), time.monotonic()
    command("mark", CHAPTER, "--jobs", jobs, folder=school).wait()
    done = marked() - before
    return (time.monotonic() - started) / max(1, done), done


def attacks() -> tuple[Counter[str], list[list[str]]]:
    """Run the tests of the classroom; return outcomes, and each test with its outcome."""
    files = [str(Path(__file__).with_name(name)) for name in ATTACKS]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        line = [sys.executable, "-m", "pytest", "-q", "-n0", f"--junitxml={report}", *files]
        subprocess.run(line, stdout=subprocess.DEVNULL, cwd=ROOT, check=False)
        cases = list(ElementTree.parse(report).iter("testcase"))
    rows = []
    for case in cases:
        found = {child.tag for child in case} & {"failure", "error", "skipped"}
        where = case.get("classname", "").rpartition(".")[2]
        rows.append([f"{where}: {case.get('name')}", found.pop() if found else "holds"])
    return Counter(outcome for _, outcome in rows), rows


def main(line: list[str] | None = None) -> int:
    """Print the table; return 1 when something does not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--submissions", type=int, default=300)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--no-tests", action="store_true", help="leave the single attacks out")
    asked = parser.parse_args(line)
    edition = read_edition(ROOT / "course", ROOT / "solutions", CHAPTER)
    with tempfile.TemporaryDirectory() as folder:
        school = Path(folder)
        deserved = hand_in(school, asked.submissions, edition)
        command("init", "class", "--roster", "roster.csv", folder=school).wait()
        command("collect", CHAPTER, "download.zip", folder=school).wait()
        seconds, timed = mark(school, asked.jobs, asked.kills)
        with Records(school / "class") as records:
            wrong = [
                f"{student} ({kind})"
                for student, (kind, loses) in deserved.items()
                if not is_right(records, student, loses)
            ]
            handed_in = records.submissions(CHAPTER)
            twice = records.database.execute("SELECT count(*) FROM markings").fetchone()[0]
    kinds = {kind for kind, _ in deserved.values()}
    outcomes, rows = (Counter(), []) if asked.no_tests else attacks()
    table = [
        ["what", "found", "goal"],
        ["simulated submissions", f"{len(deserved)} of {len(kinds)} kinds", "300 of 20"],
        ["marked wrongly", str(len(wrong)), "0"],
        ["seconds a submission", f"{seconds:.1f} ({timed} timed, {asked.jobs} at once)", "3"],
        ["killed (kill -9), then run again", f"{asked.kills} times", "20"],
        ["lost", str(len(deserved) - len(handed_in)), "0"],
        ["marked twice", str(twice - len(deserved)), "0"],
    ]
    if rows:
        table += [
            ["tests of attacks and clumsiness", f"{outcomes['holds']} hold", "60 kinds or more"],
            ["that fail", str(outcomes["failure"] + outcomes["error"]), "0"],
            ["that could not be tried here", str(outcomes["skipped"]), "0"],
        ]
    print(text_table(table))
    print("\n".join(f"marked wrongly: {who}" for who in wrong))
    report = ROOT / "build" / "classroom.md"
    report.parent.mkdir(exist_ok=True)
    report.write_text(f"{text_table(table)}\n\n{text_table([['test', 'outcome'], *rows])}\n")
    failed = outcomes["failure"] + outcomes["error"]
    return int(bool(wrong or failed or twice != len(deserved) or len(handed_in) != len(deserved)))


if __name__ == "__main__":
    sys.exit(main())
