"""The system calls that the sandbox refuses, as a seccomp filter: a small program for the kernel.

Memory that no process has mapped (memfd, System V segments) escapes a watchdog; new namespaces,
mounts and tracing are ways out that past holes in the kernel have used. No exercise needs any.
"""

import platform
import struct

# name: (number on x86_64, number on aarch64)
REFUSED = {
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "shmget": (29, 194),
    "msgget": (68, 186),
    "mq_open": (240, 180),
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "fsopen": (430, 430),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_getfd": (438, 438),
    "userfaultfd": (323, 282),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "io_uring_setup": (425, 425),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
}
MACHINES = {"x86_64": (0, 0xC000003E, 56), "aarch64": (1, 0xC00000B7, 220)}  # column, arch, clone
CLONE3 = 435  # its flags lie in memory, where no filter can look: "not implemented", use clone
NEW_NAMESPACES = 0x7E020000
X32 = 0x40000000  # a second set of numbers on x86_64
LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
ALLOW, KILL, EPERM, ENOSYS = 0x7FFF0000, 0x80000000, 0x00050001, 0x00050026


def seccomp_filter() -> bytes | None:
    """Return the filter in the form that `bwrap --seccomp` reads, None on an unknown machine."""
    if platform.machine() not in MACHINES:
        return None
    column, architecture, clone = MACHINES[platform.machine()]
    program = [
        (LOAD, 0, 0, 4),  # the architecture: 32-bit calls have other numbers
        (EQUAL, 1, 0, architecture),
        (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, 0),  # the number of the call
        (AT_LEAST, 0, 1, X32),
        (RETURN, 0, 0, KILL),
        (EQUAL, 0, 1, CLONE3),
        (RETURN, 0, 0, ENOSYS),
    ]
    for numbers in REFUSED.values():
        program += [(EQUAL, 0, 1, numbers[column]), (RETURN, 0, 0, EPERM)]
    program += [
        (EQUAL, 0, 3, clone),
        (LOAD, 0, 0, 16),  # the first argument of clone: its flags
        (ANY_BIT, 0, 1, NEW_NAMESPACES),
        (RETURN, 0, 0, EPERM),
        (RETURN, 0, 0, ALLOW),
    ]
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
