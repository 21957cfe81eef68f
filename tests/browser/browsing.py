"""What the tests in a browser share: a local web server, a page, and axe's rules."""

import contextlib
import functools
import json
import os
import secrets
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
NO_CHROMIUM = f"needs a browser; found none of {', '.join(NAMES)}"
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
LEVELS = ["wcag2a", "wcag2aa", "wcag21aa"]


@contextlib.contextmanager
def browser() -> Iterator["Browser"]:
    """Start a browser without a window."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


@contextlib.contextmanager
def jupyterlab(folder: Path, settings: Path) -> Iterator[tuple[str, str]]:
    """Start JupyterLab in a folder, without anything of this user's; give address and token."""
    names = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    environment = {**os.environ, **{name: str(settings / name) for name in names}}
    environment |= {"JUPYTER_PREFER_ENV_PATH": "1", "OMP_NUM_THREADS": "1"}
    environment.pop("TRANSFERLAB_PROFILE", None)
    token = secrets.token_hex(16)
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
    command += ["--ServerApp.ip=127.0.0.1", "--ServerApp.port=0", f"--ServerApp.root_dir={folder}"]
    command += [f"--IdentityProvider.token={token}"]
    command += ["--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    settings.mkdir()
    log = settings / "log.txt"
    with log.open("wb") as output:
        server = subprocess.Popen(
            command, env=environment, cwd=folder, stdout=output, stderr=output
        )
    try:
        yield f"http://127.0.0.1:{_port_of(server, settings / names[2], log)}", token
    finally:
        server.terminate()  # it ends its kernels
        server.wait(30)


def _port_of(server: subprocess.Popen, runtime: Path, log: Path) -> int:
    """Return the port that the server has chosen, as soon as it listens."""
    for _ in range(600):
        for file in runtime.glob("jpserver-*.json"):
            with contextlib.suppress(ValueError):  # it is being written
                return json.loads(file.read_text())["port"]
        assert server.poll() is None, log.read_text()
        time.sleep(0.1)
    raise AssertionError(f"JupyterLab did not start: {log.read_text()}")


class Quiet(SimpleHTTPRequestHandler):
    """Serves files and prints nothing."""

    def log_message(self, *_: object) -> None:
        """Say nothing of a request."""


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder on a free port of this machine; give its address."""
    handler = functools.partial(Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def violations(page: object, rules: Sequence[str] = ()) -> dict[str, list[str]]:
    """Return what axe finds on an open page: the elements by the rule that they break.

    Args:
        rules: only these; by default all of WCAG's levels A and AA.
    """
    from axe_playwright_python.sync_playwright import Axe

    chosen = {"type": "rule", "values": rules} if rules else {"type": "tag", "values": LEVELS}
    options = {"runOnly": chosen, "resultTypes": ["violations"]}
    found = Axe().run(page, options=options).response["violations"]
    return {rule["id"]: [node["html"] for node in rule["nodes"]] for rule in found}
