"""What many processes use together: a watchdog over their tree, and control groups."""

import contextlib
import os
import shlex
import signal
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

GROUPS = Path("/sys/fs/cgroup")


def tree(root: int) -> list[int]:
    """Return a process and all that descend from it.

    In a process namespace of its own, an orphan becomes a child of the first process there; so
    none can leave the tree.
    """
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, IndexError):
            parent = int(path.read_text(errors="replace").rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(path.parent.name))
    found = [root]
    for process in found:
        found += children.get(process, [])
    return found


def end(root: int) -> None:
    """Kill a process and all that descend from it, the youngest first."""
    for process in reversed(tree(root)):
        with contextlib.suppress(OSError):
            os.kill(process, signal.SIGKILL)


def resident(processes: list[int]) -> int:
    """Return the bytes of memory of processes; what several share counts several times."""
    pages = 0
    for process in processes:
        with contextlib.suppress(OSError, IndexError):
            pages += int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def proportional(processes: list[int]) -> int:
    """Return the same; what several share (all of torch, after a fork) counts once. Slower."""
    total = 0
    for process in processes:
        try:
            rows = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
            total += sum(int(row.split()[1]) << 10 for row in rows if row.startswith("Pss:"))
        except OSError:  # it has just ended, or may not be looked at
            total += resident([process])
    return total


@dataclass(frozen=True)
class ControlGroup:
    """A control group of the kernel (version 2), or one for each controller (version 1)."""

    folders: list[Path]

    def entered_by(self, command: list[str]) -> list[str]:
        """Return a command that enters the group before it becomes the given one."""
        enter = [f"echo $$ > {shlex.quote(str(f / 'cgroup.procs'))} &&" for f in self.folders]
        return ["/bin/sh", "-c", f'{" ".join(enter)} exec "$@"', "sh", *command]

    def was_exceeded(self) -> bool:
        """Return whether the kernel has killed a process because the memory was used up."""
        for folder in self.folders:
            for name in ("memory.events", "memory.oom_control"):
                with contextlib.suppress(OSError):
                    rows = (folder / name).read_text().splitlines()
                    if any(r.startswith("oom_kill ") and r.split()[1] != "0" for r in rows):
                        return True
        return False


@contextlib.contextmanager
def control_group(memory: int, processes: int) -> Iterator[ControlGroup]:
    """Yield a new control group with these limits; an OSError says that none can be made here."""
    settings = {"memory.max": memory, "memory.swap.max": 0, "memory.limit_in_bytes": memory}
    settings |= {"memory.memsw.limit_in_bytes": memory, "pids.max": processes}
    group = ControlGroup([])
    try:
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers in ("", "memory", "pids"):
                group.folders.extend(_made(GROUPS / controllers, path, settings))
        if not any((folder / "memory.stat").exists() for folder in group.folders):
            raise OSError("no control group for memory can be made here")
        yield group
    finally:
        for folder in group.folders:
            for _ in range(50):  # the kernel needs a moment to forget the last process
                with contextlib.suppress(OSError):
                    folder.rmdir()
                    break
                time.sleep(0.02)


def _made(base: Path, path: str, settings: dict[str, int]) -> list[Path]:
    """Make a group as near to our own as possible, and return it; nothing when that fails."""
    own = base / path.strip("/")
    for parent in (own, *own.parents):
        if not parent.is_relative_to(base):
            break
        folder = parent / f"transferlab-{uuid.uuid4().hex}"
        with contextlib.suppress(OSError):
            folder.mkdir()
            known = [name for name in settings if (folder / name).exists()]
            for name in known:
                (folder / name).write_text(str(settings[name]))
            if known:
                return [folder]
            folder.rmdir()
    return []
