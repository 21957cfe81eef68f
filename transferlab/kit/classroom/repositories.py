"""A table of git repositories, one a student: what is in them, without trusting a name or a size.

Nothing is checked out, so that no hook, filter or submodule of a stranger's can run. Files are read
from a bare clone of the newest commit alone, which is thrown away. What git may write is limited,
and what it may take into memory: a few kilobytes can claim to be gigabytes, or millions of files.
"""

import contextlib
import os
import re
import shlex
import shutil
import subprocess
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import TypeVar

from transferlab.errors import InputError
from transferlab.kit.classroom.roster import COLUMNS, Student, read_rows, student_in
from transferlab.kit.classroom.sources import LARGEST, MOST, Entry, listed, plain

Found = TypeVar("Found")

# What the first row may call the columns, in small letters; two names are GitHub Classroom's.
WHO = (*COLUMNS["id"], "roster_identifier", *COLUMNS["email"], *COLUMNS["name"])
WHERE = ("repository", "student_repository_url", "repository url", "clone url", "url", "address")
AT_ONCE = 8  # most of the time is spent waiting for servers
SECONDS = 120.0  # that one command of git may take
LARGEST_CLONE = 200 << 20  # bytes of a file that cloning writes, a pack
SSH = re.compile(r"[^/:]{2,}:")  # git@host:path; one letter is a drive of Windows
ODD_KINDS = {b"120000": "a link", b"160000": "a submodule, another repository"}
# What is larger than a submission may be is not even sent, if the server can filter, as those of
# GitHub and GitLab can.
CLONE = ["clone", "--quiet", "--bare", "--no-local", "--depth=1", "--single-branch", "--no-tags"]
CLONE += ["--template=", f"--filter=blob:limit={LARGEST + 1}"]
SETTINGS = ["-c", "core.hooksPath=/dev/null", "-c", "transfer.fsckObjects=true"]
SETTINGS += ["-c", "pack.threads=1", "-c", f"core.bigFileThreshold={LARGEST}"]
# In blocks of 512 bytes; some shells count 1024, and the limit is twice as high there.
LIMITED = ["sh", "-c", 'ulimit -c 0; ulimit -f "$0"; exec "$@"']
# Nobody is asked for anything. The teacher's own settings stay: keys, proxies, certificates.
KEPT = ("GIT_SSL", "GIT_SSH_VARIANT")
QUIET = {"GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "", "GCM_INTERACTIVE": "never", "LC_ALL": "C"}
QUIET |= {"GIT_NO_LAZY_FETCH": "1", "GIT_ALLOC_LIMIT": "100m"}  # bytes at once
QUIET |= {"GIT_DEFAULT_REF_FORMAT": "files"}  # the config that is written below knows no other


@dataclass(frozen=True)
class Repository:
    """Where a student's work lies; without a branch the repository's own main one counts."""

    student: Student
    address: str
    branch: str = ""


def is_table(source: Path) -> bool:
    """Return whether a source can be a table: it is neither a folder nor a zip file."""
    return source.suffix.lower() in (".csv", ".tsv", ".txt") and source.is_file()


def read_table(table: Path, students: Sequence[Student]) -> tuple[list[Repository], list[str]]:
    """Return the repositories of a table, and a line for each row that cannot be somebody's.

    A row has who (id, e-mail or name), the address of a repository, and perhaps a branch.
    """
    (first, headings), *rows = read_rows(table)
    names = [name.casefold() for name in headings]
    who = [name for name in WHO if name in names]
    where = next((name for name in WHERE if name in names), "")
    if not who or not where:
        raise InputError(
            f"{table} is neither a folder nor a zip file, nor a table of git repositories: row "
            f"{first} is {', '.join(headings)}; expected headings such as id,repository,branch."
        )
    found: dict[Student, list[tuple[int, Repository]]] = {}
    lines = []
    for row, cells in rows:
        entry = dict.fromkeys(names, "") | dict(zip(names, cells, strict=False))
        if meant := student_in(students, (entry[name] for name in who)):
            repository = Repository(meant, entry[where], entry.get("branch", ""))
            found.setdefault(meant, []).append((row, repository))
        else:
            text = plain(" ".join(entry[name] for name in who))
            lines.append(f"{text}, row {row}: nobody in the roster, or more than one")
    for student, theirs in found.items():
        if len(theirs) > 1:
            numbers = " and ".join(str(row) for row, _ in theirs)
            lines.append(f"{student.name}: rows {numbers} are theirs; expected one repository")
    return [theirs[0][1] for theirs in found.values() if len(theirs) == 1], lines


def fetch(
    repositories: Sequence[Repository],
    use: Callable[[Student, list[Entry]], Found],
    tell: Callable[[str], None] = lambda line: None,
) -> Iterator[tuple[Student, Found | str]]:
    """Yield what `use` makes of each student's files; a text says why they cannot be had.

    The first part of a file's path is the student's id, the second names the commit. A file was
    modified when the commit says; its author can write any date into it, so only a late one counts.

    Args:
        use: called in several threads, while the files can be read.
        tell: called with a line that says how far it is.
    """
    if os.name != "posix":  # nothing could be limited there
        raise InputError("to collect from repositories needs Linux or macOS; on Windows use WSL2.")
    if not shutil.which("git"):
        raise InputError("to collect from repositories needs git, which is not installed here.")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        futures = deque(pool.submit(_used, repository, use) for repository in repositories)
        try:
            for number, repository in enumerate(repositories, start=1):
                found = futures.popleft().result()  # popped: nobody's files are kept until the end
                tell(f"{number} of {len(repositories)} repositories")
                yield repository.student, found
        finally:
            pool.shutdown(cancel_futures=True)  # when it is stopped


def _used(repository: Repository, use: Callable[[Student, list[Entry]], Found]) -> Found | str:
    with TemporaryDirectory(prefix="transferlab-", ignore_cleanup_errors=True) as folder:
        try:
            return use(repository.student, _cloned(repository, Path(folder, "clone")))
        except (InputError, OSError) as error:
            return plain(str(error))


def _cloned(repository: Repository, place: Path) -> list[Entry]:
    """Clone into a new folder and return the files, which can be read as long as it is there."""
    branch = [f"--branch={repository.branch}"] * bool(repository.branch)
    allowed, clone = _protocols(repository.address), [*CLONE, *branch, "--", repository.address]
    _git(*clone, str(place), allowed=allowed, most=LARGEST_CLONE)
    # without the server's address: what is missing is never fetched later
    (place / "config").write_text("[core]\n\trepositoryformatversion = 0\n\tbare = true\n")
    git = partial(_git, f"--git-dir={place}")
    try:
        newest = git("rev-list", "--max-count=1", "--format=%ct", "HEAD^{commit}").decode()
    except InputError:
        sentence = "no commit can be read on its main branch; a column branch can name another one"
        raise InputError(sentence) from None
    rows = git("ls-tree", "-r", "-z", "--long", "--full-tree", "HEAD").split(b"\0")[:-1]
    _, commit, *date = newest.split()  # git leaves out a date that is none
    made = float(date[0]) if date and date[0].isdigit() else 0.0
    start = repository.student.id, f"commit {commit[:10]}"
    return listed((_entry(git, start, made, row) for row in rows), MOST)


def _protocols(address: str) -> str:
    """Return the protocols that git may use for an address.

    They are both, https and ssh, as the teacher's own settings can put one for the other.
    """
    name, found, _ = address.partition("://")
    if not found:
        name = "ssh" if SSH.match(address) else "file"
    if name not in ("https", "ssh", "file") or re.match(r"-|$|[^/]*::", address):
        raise InputError(
            f"{address!r} is no address that is taken; expected such as https://host/name.git, "
            "git@host:name.git, or a folder"
        )
    return "file" if name == "file" else "https:ssh"


def _entry(git: Callable[..., bytes], start: tuple[str, str], made: float, row: bytes) -> Entry:
    """Return an entry for a row of `git ls-tree --long`; the size is "BAD" when it is not here."""
    about, _, name = row.partition(b"\t")
    mode, _, sha, size = about.split()
    path = *start, *name.decode(errors="replace").split("/")

    def read() -> bytes:
        if size == b"BAD" or int(size) > LARGEST:
            return bytes(LARGEST + 1)  # its size is all that counts
        return git("cat-file", "blob", sha.decode())

    return Entry(path, made, ODD_KINDS.get(mode, ""), read)


def _git(*arguments: str, allowed: str = "none", most: int = LARGEST) -> bytes:
    """Return what git prints; raise with the first line of its own error.

    Args:
        allowed: the protocols by which it may reach other repositories.
        most: bytes of a file that it writes, and of what it prints.
    """
    kept = {n: v for n, v in os.environ.items() if n[:4] != "GIT_" or n.startswith(KEPT)}
    environment = {**kept, **QUIET, "GIT_ALLOW_PROTOCOL": allowed}
    if "ssh" in allowed:
        environment["GIT_SSH_COMMAND"] = _ssh(environment)
    command = [*LIMITED, str(most // 512 + 1), "git", *SETTINGS, *arguments]
    with TemporaryFile() as out, TemporaryFile() as errors:
        pipes = {"stdin": subprocess.DEVNULL, "stdout": out, "stderr": errors}
        process = subprocess.Popen(command, env=environment, **pipes)
        try:
            code = process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            _end(process)
            raise InputError(f"it took more than {SECONDS:g} seconds") from None
        for file in (out, errors):
            file.seek(0)
        if code:
            raise InputError(_reason(errors.read(65536).decode(errors="replace")))
        return out.read()


def _ssh(environment: dict[str, str]) -> str:
    """Return the teacher's own command for ssh, in git's order, which then asks for nothing."""
    asked = ["git", f"--git-dir={os.devnull}", "config", "--get", "core.sshCommand"]
    done = subprocess.run(asked, env=environment, capture_output=True, text=True, check=False)
    program = shlex.quote(os.environ.get("GIT_SSH") or "ssh")
    command = os.environ.get("GIT_SSH_COMMAND") or done.stdout.strip() or program
    return f"{command} -oBatchMode=yes"


def _reason(errors: str) -> str:
    """Return the first line of an error of git's, without warnings of git's and of ssh's."""
    lines = [line.strip() for line in errors.splitlines()]
    said = [x for x in lines if x and not x.lower().startswith(("warning:", "hint:", "** "))]
    if not said or "index-pack" in said[0]:  # it was stopped by the limit
        return f"git was stopped: it has more than {LARGEST_CLONE >> 20} MB, or too many files"
    return re.sub(r"^(remote: )?((fatal|error|ERROR): )?", "", said[0])


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End git and what it has started, such as ssh."""
    import psutil

    found = [*psutil.Process(process.pid).children(recursive=True), process]
    for one in found:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()
    psutil.wait_procs(found, timeout=5)
