"""Ending a lesson with everything that it has started, however well that hides.

The environment of a lesson's process holds a mark, which every process inherits that it starts:
also one in a session of its own, and one whose parent has ended.
"""

import contextlib
import os
import time
from collections.abc import Set

import psutil

MARK = "TRANSFERLAB_LESSON"  # the variable; its value is the lesson's temporary folder


def family(marks: Set[str]) -> list[psutil.Process]:
    """Return the processes with one of the marks and their descendants, without this process."""
    everything = list(psutil.process_iter(["environ", "ppid", "status"]))
    members = [p for p in everything if (p.info["environ"] or {}).get(MARK) in marks]
    for member in members:  # the list grows meanwhile: a child may have emptied its environment
        members += [p for p in everything if p.info["ppid"] == member.pid and p not in members]
    return [p for p in members if p.pid != os.getpid() and p.info["status"] != "zombie"]


def end_family(marks: Set[str]) -> None:
    """Kill all of them, again and again: one may have started another at the last moment."""
    give_up = time.monotonic() + 5
    while (members := family(marks)) and time.monotonic() < give_up:
        for member in members:
            with contextlib.suppress(psutil.Error):  # it has just ended
                member.kill()
        time.sleep(0.02)  # no wait for their end: a container may have nobody who reaps them
