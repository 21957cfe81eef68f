"""Where jobs run: in threads of this process, each of which starts a sandbox, or on a cluster.

Both are executors as in `concurrent.futures`, so the marking does not know the difference. The
cluster is dask.distributed's: laptops in a room, Slurm, Kubernetes. A job is bytes in, record out;
it can be lost and run again. Student code stays in a sandbox on the machine that runs the job.
"""

import contextlib
import ipaddress
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from urllib.parse import urlsplit

from transferlab.errors import InputError

PATIENCE = 10  # seconds until a scheduler must have answered


@contextlib.contextmanager
def workers(jobs: int, on: str | None = None) -> Iterator[Executor]:
    """Return what runs jobs; at the end those that wait are given up.

    Args:
        jobs: at once, on this machine.
        on: the address of a dask scheduler, such as "tls://10.0.0.5:8786", instead.
    """
    if on is None:
        pool = ThreadPoolExecutor(jobs)
        try:
            yield pool
        finally:  # after Ctrl-C there is nothing to wait for
            pool.shutdown(wait=False, cancel_futures=True)
        return
    _check_private(on)
    try:
        from distributed import Client
    except ImportError:
        raise InputError("--on needs dask: pip install distributed.") from None
    try:
        client = Client(on, timeout=PATIENCE)
    except OSError as error:
        raise InputError(f"no dask scheduler answers at {on}: {error}.") from error
    with client:
        # A job that has killed a worker is not given to the next one: it runs students' code.
        yield client.get_executor(pure=False, retries=0)


def _check_private(address: str) -> None:
    """Refuse a scheduler that strangers could reach: it runs whatever it is sent."""
    parts = urlsplit(address)
    if not parts.scheme or not parts.hostname:
        raise InputError(f"--on {address}: expected an address such as tcp://127.0.0.1:8786.")
    if parts.scheme == "tls":
        return
    with contextlib.suppress(ValueError):
        if ipaddress.ip_address(parts.hostname).is_loopback:
            return
    if parts.hostname != "localhost":
        raise InputError(
            f"--on {address}: anyone who can reach such a scheduler can run code on your machines; "
            "expected tls://…, or an address of this machine, such as tcp://127.0.0.1:8786."
        )
