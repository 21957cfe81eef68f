"""The kernel `python3` of this environment, with the variables that make small networks fast.

Variables like these are read when a process starts, or when torch is imported. So they belong to
whoever starts the process: the kernelspec (`python -m transferlab.kit.kernel` writes it), the
runner and `transferlab lab`. `import transferlab` changes none.
"""

import os
import sys

THREADS = {
    # Threads that wait for work should sleep. By default they spin, and on a machine that is doing
    # something else as well, that makes small networks ten times slower. NumPy's cannot sleep: two
    # make a linear probe ten times slower than one. Read when torch and NumPy are imported.
    "OMP_WAIT_POLICY": "PASSIVE",
    "OPENBLAS_NUM_THREADS": "1",
}
MEMORY = {
    # Let the C library (glibc) keep freed memory for the next step. By default it returns the large
    # tensors of every step to the system and asks for new ones in the next, in pages that are
    # filled with zeros first. In a small convolutional network that takes a third of the time.
    "MALLOC_MMAP_THRESHOLD_": str(32 * 2**20),  # smaller blocks are kept; glibc's maximum
    "MALLOC_TRIM_THRESHOLD_": str(2**30),  # up to so many free bytes
}
ENVIRONMENT = THREADS | MEMORY
COMMAND = "python -m transferlab.kit.kernel"


def environment() -> dict[str, str]:
    """Return the variables that a process with a lesson should have besides those of this one.

    Whoever has chosen threads or tuned the memory of the C library (man mallopt) is left alone.
    """
    wanted = {name: value for name, value in THREADS.items() if name not in os.environ}
    tuned = any(name.startswith(("MALLOC_", "GLIBC_TUNABLES")) for name in os.environ)
    if sys.platform.startswith("linux") and not tuned:
        wanted |= MEMORY
    return wanted


def install_kernel() -> str:
    """Write the kernelspec `python3` into this Python's environment; return its folder."""
    from ipykernel.kernelspec import install

    return install(prefix=sys.prefix, env=environment())


if __name__ == "__main__":
    print(f"The kernel python3 is set up in {install_kernel()}")
