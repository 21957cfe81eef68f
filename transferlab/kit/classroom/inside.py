"""What runs inside the sandbox: a student's cells, and the checks that look at them.

    judge     process 1. Hands out one cell at a time, keeps the time, writes the result. The others
              are forked before it reads the task, so that none has a copy of its memory.
    nursery   imports torch once, runs nothing of the student's, and forks a worker when asked.
    worker    runs the code and answer cells in one namespace, and forks once for each check.

A check passes only with a proof: all its statements were reached, nothing that they rely on was
replaced (`intact`), the process lived on to answer the judge's nonce, and the same check fails when
the answer does nothing (the canary). Code in the same process can still forge all this by looking
through the interpreter's memory; an answer that reaches for the means is flagged (`suspects`).
"""

import ast
import builtins
import contextlib
import ctypes
import json
import linecache
import os
import re
import resource
import secrets
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from transferlab.kit.classroom import intact
from transferlab.kit.classroom.suspects import suspects

MAGIC = re.compile(r"^[%!].*", re.MULTILINE)
LONGEST = 2000  # characters of a message
MOST_FILES = 10_000
ALONE = os.getpid() == 1  # in a sandbox the judge is its first process
PR_SET_DUMPABLE = 4  # of Linux' prctl


def main() -> None:
    """Read the order (argument 1) and the task (standard input); write the result and end."""
    order = json.loads(sys.argv[1])
    _confine(order)
    mine, theirs = socket.socketpair()
    nursery = os.fork()
    if nursery == 0:
        mine.close()
        os.close(order["result"])
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        nurse(theirs, order["imports"])
    theirs.close()
    task = json.loads(sys.stdin.buffer.read())
    result = json.dumps(Judge(mine, nursery, order).mark(task["cells"])).encode()
    with os.fdopen(order["result"], "wb") as pipe:
        pipe.write(result)
    os._exit(0)


def _confine(order: dict[str, Any]) -> None:
    """Become another user where that is possible, and set the limits, which nobody can raise."""
    if order["user"]:
        os.setgroups([])
        os.setgid(order["user"])
        os.setuid(order["user"])
    if sys.platform == "linux":
        # else student code could open the judge's result pipe
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0)
    most = {"CORE": 0, "NOFILE": 256, "MSGQUEUE": 0, "MEMLOCK": 1 << 20}
    most |= {"NPROC": order["processes"], "DATA": order["memory"], "FSIZE": order["files"]}
    for name, value in most.items():
        with contextlib.suppress(AttributeError, ValueError, OSError):  # macOS has not all of them
            resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (value, value))


def send(to: socket.socket, message: dict[str, Any]) -> None:
    """Send a message: JSON, one a line."""
    to.sendall(json.dumps(message).encode() + b"\n")


def receive(channel: socket.socket) -> dict[str, Any]:
    """Return the judge's next message; end when there is none."""
    line = bytearray()
    while not line.endswith(b"\n"):
        if not (part := channel.recv(1 << 16)):
            os._exit(0)
        line += part
    return json.loads(line)


def nurse(channel: socket.socket, imports: list[str]) -> None:
    """Import what the cells need, then fork a worker for each socket that the judge sends."""
    fonts = Path(__file__).parents[3] / "fonts"  # matplotlib would search for them each time
    if ALONE and fonts.is_dir():
        shutil.copytree(fonts, os.environ["MPLCONFIGDIR"])
    for line in imports:
        with contextlib.suppress(Exception):  # the cell itself will say what is wrong
            exec(line, {})
    replaced = intact.watch()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # workers that have ended need no burial
    while True:
        message, descriptors, _, _ = socket.recv_fds(channel, 1, 1)
        if not message:
            os._exit(0)
        worker = os.fork()
        if worker == 0:
            channel.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.setsid()
            work(socket.socket(fileno=descriptors[0]), replaced)
        os.close(descriptors[0])
        send(channel, {"worker": worker})


# ---- the worker: here the student's code runs ----------------------------------------------------


def work(channel: socket.socket, replaced: Callable[[bool], list[str]]) -> None:
    """Run cells and checks as the judge asks for them, until it asks no more."""
    # pickle looks here for the classes of the cells
    module = sys.modules["__main__"] = types.ModuleType("__main__")
    namespace = vars(module)
    namespace["display"] = print
    released: intact.Noted = {}  # helpers of the checks: an answer may not redefine them
    while request := receive(channel):
        if "check" in request:
            child = os.fork()
            if child == 0:
                for name, (value, code) in released.items():
                    namespace[name] = value
                    if code:
                        value.__code__ = code
                check(channel, request, namespace, replaced)
                os._exit(0)
            send(channel, {"left": os.waitpid(child, 0)[1]})
        elif "call" in request:
            child = os.fork()
            if child == 0:
                for coded in request["cases"]:
                    send(channel, {"answer": call(request["call"], coded, namespace)})
                os._exit(0)
            send(channel, {"left": os.waitpid(child, 0)[1]})
        else:
            before = dict(namespace)
            error = run(compiled(request["cell"], request["name"]), namespace)
            new = [n for n in namespace if n not in before or namespace[n] is not before[n]]
            names = [name for name in new if isinstance(name, str) and name != "__builtins__"]
            if request["released"]:
                released |= intact.relied_on({name: namespace[name] for name in names})
            send(channel, {"error": error, "names": names[:100]})


def check(
    channel: socket.socket,
    request: dict[str, Any],
    namespace: dict[str, Any],
    replaced: Callable[[bool], list[str]],
) -> None:
    """Run one check and tell the judge how it ended."""
    sys.settrace(None)
    sys.setprofile(None)
    namespace["__builtins__"] = builtins
    for name in request["without"]:  # the canary
        namespace[name] = _nothing
    for source in request["earlier"]:  # what they define, this check may use
        run(compiled(source, request["name"]), namespace)
    changed: list[str] = []
    reached = 0

    def step(number: int) -> None:
        nonlocal reached
        reached += number == reached
        changed.extend(replaced(True))

    name = f"_step_{request['turn']}"
    namespace[name] = step
    code, statements = stepwise(request["check"], request["name"], name)
    error = run(code, namespace)
    if not error and reached != statements:
        error = f"Only {reached} of the check's {statements} statements were reached."
    if not error and not request["without"]:  # all of it takes a while; who fails gains nothing
        changed += replaced(False)
    send(channel, {"error": error, "changed": sorted(set(changed))[:20]})
    send(channel, {"nonce": receive(channel)["nonce"]})


def call(name: str, coded: Any, namespace: dict[str, Any]) -> dict[str, Any]:
    """Return what an answer's function gives for these inputs; both ways as `values` codes it."""
    from transferlab.kit.classroom import values  # (loaded already: it needs torch)

    try:
        return {"value": values.encode(namespace[name](*values.decode(coded, namespace)))}
    except BaseException as error:
        return {"error": sentence_of(error)}


def _nothing(*args: Any, **kwargs: Any) -> None:
    """What the canary puts in place of everything that an answer has defined."""


def compiled(source: str, name: str) -> Any:
    """Return the code of a cell, or the error that says why it has none."""
    linecache.cache[name] = (len(source), None, source.splitlines(True), name)
    try:
        with contextlib.suppress(SyntaxError):
            return compile(source, name, "exec", dont_inherit=True)
        without_magics = MAGIC.sub("", source)  # %timeit and !ls are a notebook's, not Python's
        return compile(without_magics, name, "exec", dont_inherit=True)
    except Exception as error:  # a SyntaxError, or too deep to be parsed
        return error


def stepwise(source: str, name: str, step: str) -> tuple[Any, int]:
    """Return a check that calls `step(0)`, `step(1)`, … after its statements, and their number."""
    linecache.cache[name] = (len(source), None, source.splitlines(True), name)
    tree = ast.parse(source)
    body: list[ast.stmt] = []
    for number, statement in enumerate(tree.body):
        call = ast.Expr(ast.Call(ast.Name(step, ast.Load()), [ast.Constant(number)], []))
        body += [statement, ast.copy_location(call, statement)]
    statements, tree.body = len(tree.body), body
    return compile(ast.fix_missing_locations(tree), name, "exec", dont_inherit=True), statements


def run(code: Any, namespace: dict[str, Any]) -> str | None:
    """Execute a cell; return the sentence of its error, or None when there was none."""
    try:
        if isinstance(code, Exception):
            raise code
        exec(code, namespace)
        sys.stdout.flush()
    except BaseException as error:
        return sentence_of(error)
    return None


def sentence_of(error: BaseException) -> str:
    """Return what an error says."""
    text = ""
    with contextlib.suppress(BaseException):  # an error's text is the student's code too
        text = str.__getitem__(str(error), slice(LONGEST))  # a real `str`, no heir of it
        if not text or not isinstance(error, AssertionError):
            text = f"{type(error).__name__}: {text}"
    return text or "an error without a text"


# ---- the judge -----------------------------------------------------------------------------------


class NoAnswerError(Exception):
    """A worker has ended, was too slow, or did not say what it should."""

    def __init__(self, status: str, message: str) -> None:
        super().__init__(message)
        self.status = status


class Judge:
    """Marks the cells of one task, with as many workers as that takes."""

    def __init__(self, nursery: socket.socket, nurse: int, order: dict[str, Any]) -> None:
        self.nursery, self.nurse = nursery, nurse
        self.seconds, self.folder = order["cell_seconds"], Path(order["folder"])
        self.end = time.monotonic() + order["seconds"]
        self.reader = select.poll()  # of the result: it has an event when nobody reads any more
        self.reader.register(order["result"], 0)
        self.worker: socket.socket | None = None
        self.group = 0  # the worker's process group
        self.names: dict[int, list[str]] = {}  # cell -> what it has defined
        self.errors: dict[int, tuple[str, str]] = {}  # cell -> status, message
        self.flags: list[str] = []
        self.lost: set[int] = set()  # cells that ended their worker are not run again

    def mark(self, cells: list[dict[str, Any]]) -> dict[str, Any]:
        """Return the result: what became of each check, and what a person should look at."""
        self.cells = cells
        results: dict[str, dict[str, Any]] = {}
        passed: set[int] = set()  # answers with a check that has passed
        for cell in cells:
            if cell["kind"] == "answer":
                self.flags += [f"{cell['id']}: {found}" for found in suspects(cell["source"])]
        with contextlib.suppress(NoAnswerError):  # verdict() will say it
            self.prepare()
        for number, cell in enumerate(cells):
            if cell["kind"] == "check":
                started = time.monotonic()
                status, message, changed = self.verdict(number)
                self.flags += [f"{cell['id']}: has replaced `{name}`" for name in changed]
                seconds = round(time.monotonic() - started, 3)
                results[cell["id"]] = {"status": status, "message": message, "seconds": seconds}
                if status == "passed":
                    passed.update(self.answers(number))
        called = {cells[n]["id"]: self.call(n) for n in sorted(passed) if "cases" in cells[n]}
        flags = list(dict.fromkeys(self.flags))
        return {"checks": results, "values": called, "flags": flags}

    def verdict(self, number: int) -> tuple[str, str, list[str]]:
        """Return status, message, and what was replaced, of one check."""
        answers = self.answers(number)
        try:
            self.prepare()
            for answer in answers:
                if answer in self.lost:
                    return (*self.errors[answer], [])
            error, changed = self.check(number, [])
            names = [name for answer in answers for name in self.names[answer]]
            helpers = [n for c, found in self.names.items() if c not in answers for n in found]
            self.flags += [
                f"{self.cells[number]['id']}: redefines `{n}`" for n in names if n in helpers
            ]
            if changed:
                error = f"The answer has replaced {', '.join(changed)}; so nothing can be checked."
            elif not error and answers and not self.check(number, names)[0]:
                error = "The check passes although the answer does nothing: something else decides."
        except NoAnswerError as none:
            return none.status, str(none), []
        if not error:
            return "passed", "", []
        earlier = [self.errors[n][1] for n in answers if n in self.errors]
        if earlier and not changed:
            error = f"{earlier[0]} (So ended the answer's cell; its check said: {error})"
        return "failed", error[:LONGEST], changed

    def answers(self, number: int) -> list[int]:
        """Return the answer cells that a check belongs to: the nearest ones above it."""
        found: list[int] = []
        for n in range(number - 1, -1, -1):
            if self.cells[n]["kind"] == "answer":
                found.insert(0, n)
            elif found:
                break
        return found

    def prepare(self) -> None:
        """Have a worker that has run all cells; a cell that ended its worker is left out."""
        while self.worker is None:
            self.begin()
            for number, cell in enumerate(self.cells):
                if cell["kind"] == "check" or number in self.lost:
                    continue
                name = f"<{cell['id'] or f'cell {number + 1}'}>"
                request = {"cell": cell["source"], "name": name}
                request["released"] = cell["kind"] == "code"
                try:
                    done = self.ask(request, error=str, names=list)
                except NoAnswerError as none:
                    if time.monotonic() > self.end:
                        raise
                    self.lost.add(number)
                    self.errors[number] = none.status, f"{none} (This was the answer's cell.)"
                    break  # and begin again without it
                self.names[number] = [str(name) for name in done["names"]]
                if done["error"]:
                    self.errors[number] = "failed", done["error"]

    def begin(self) -> None:
        """Let the nursery fork a new worker."""
        self.unread = b""
        self.worker, theirs = socket.socketpair()
        with theirs, self.failing("An answer has ended all processes."):
            socket.send_fds(self.nursery, [b"w"], [theirs.fileno()])
            self.group = json.loads(self.nursery.recv(100))["worker"]

    def check(self, number: int, without: list[str]) -> tuple[str | None, list[str]]:
        """Run a check in a fork; return its error, and what was replaced."""
        cell, nonce = self.cells[number], secrets.token_hex(16)
        request = {"check": cell["source"], "name": f"<{cell['id']}>", "without": without}
        above = range(max(self.answers(number), default=number), number)
        kinds = ((self.cells[n]["kind"], self.cells[n]["source"]) for n in above)
        request["earlier"] = [source for kind, source in kinds if kind == "check"]
        done = self.ask(request | {"turn": secrets.token_hex(8)}, error=str, changed=list)
        with self.failing("The check's process gave no proof."):
            if self.ask({"nonce": nonce}, nonce=str)["nonce"] != nonce:
                raise ValueError("another nonce")
        self.ask(None, left=int)
        return done["error"], [str(name)[:100] for name in done["changed"]]

    def call(self, number: int) -> list[dict[str, Any]]:
        """Return what an answer's function gives for each of its inputs."""
        cell, found = self.cells[number], []
        request: dict[str, Any] | None = {"call": cell["id"], "cases": cell["cases"]}
        try:
            self.prepare()
            for _ in cell["cases"]:
                found.append(self.ask(request, answer=dict)["answer"])
                request = None  # the others come by themselves
            self.ask(None, left=int)
        except NoAnswerError as none:
            found.append({"error": str(none)})
        return found

    def ask(self, request: dict[str, Any] | None, **expected: type) -> dict[str, Any]:
        """Send a request to the worker, wait for the answer, and check its form."""
        with self.failing("The process ended, or sent what is no answer."):
            if request is not None:
                send(self.worker, request)
            answer = json.loads(self.line())
            if set(answer) == {"left"} != set(expected):
                code = os.waitstatus_to_exitcode(answer["left"])
                raise NoAnswerError("crashed", f"The process ended early (code {code}).")
            if set(answer) != set(expected):
                raise ValueError("other names")
            for key, kind in expected.items():
                if not isinstance(answer[key], (kind, type(None))):
                    raise TypeError(key)
            return answer

    @contextlib.contextmanager
    def failing(self, message: str) -> Iterator[None]:
        """Give up the worker when it fails, or sends anything that does not fit."""
        try:
            yield
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            self.stop()
            raise NoAnswerError("crashed", message) from error
        except NoAnswerError:
            self.stop()
            raise

    def line(self) -> bytes:
        """Return the worker's next line, if it comes in time."""
        end = min(time.monotonic() + self.seconds, self.end)
        while b"\n" not in self.unread:
            if time.monotonic() > end:
                whole = "The whole submission took too long."
                one = f"It did not end within {self.seconds:g} s."
                raise NoAnswerError("timed out", whole if end == self.end else one)
            if self.reader.poll(0):  # who runs this sandbox was killed
                self.stop()
                os._exit(1)
            state = os.statvfs(self.folder)
            if ALONE and state.f_files - state.f_ffree > MOST_FILES:
                raise NoAnswerError("crashed", f"It has made more than {MOST_FILES:,} files.")
            if select.select([self.worker], [], [], 0.05)[0]:
                part = self.worker.recv(1 << 16)
                if not part or len(self.unread) > 1 << 18:
                    raise ValueError("the worker has ended, or sends without end")
                self.unread += part
        line, _, self.unread = self.unread.partition(b"\n")
        return line

    def stop(self) -> None:
        """End the worker and whatever it has started, and empty the folder."""
        if self.worker:
            self.worker.close()
            self.worker = None
        if not ALONE:
            with contextlib.suppress(OSError):
                os.killpg(self.group or self.nurse, signal.SIGKILL)
            return
        while others := {int(p.name) for p in Path("/proc").glob("[0-9]*")} - {1, self.nurse}:
            for process in others:
                with contextlib.suppress(OSError):
                    os.kill(process, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):  # process 1 inherits orphans
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            time.sleep(0.01)
        left = [str(p) for folder in (self.folder, Path("/dev/shm")) for p in folder.iterdir()]
        # (rm, for folders may lie too deep in one another for shutil)
        subprocess.run(["/bin/rm", "-rf", *left], stderr=subprocess.DEVNULL, check=False)
