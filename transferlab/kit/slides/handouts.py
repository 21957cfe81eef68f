"""Hand-outs: pages of the site as PDF files, printed by a Chromium that is installed."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from transferlab.errors import InputError

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
OPTIONS = ("--headless", "--disable-gpu", "--no-pdf-header-footer", "--virtual-time-budget=20000")
PATIENCE = 120  # seconds for one page


def write_handouts(names: Sequence[str], site: Path, to: Path) -> list[Path]:
    """Print pages of the site, such as "04_code/exercises"; return the PDF files."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise InputError(f"printing needs a browser; found none of {', '.join(BROWSERS)}.")
    files = []
    for name in names:
        page, pdf = site / f"{name}.html", to / f"{name}.pdf"
        if not page.is_file():
            raise InputError(f"there is no page {page}; make the site first: transferlab site")
        pdf.parent.mkdir(parents=True, exist_ok=True)
        _print(browser, page.resolve(), pdf.resolve())
        files.append(pdf)
    return files


def _print(browser: str, page: Path, pdf: Path) -> None:
    # Chromium's own sandbox refuses to run as root, as in a container; the pages are ours.
    as_root = ["--no-sandbox"] if getattr(os, "geteuid", lambda: 1)() == 0 else []
    command = [browser, *OPTIONS, *as_root, f"--print-to-pdf={pdf}", page.as_uri()]
    done = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False)
    if done.returncode or not pdf.is_file():
        last = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise InputError(f"{page} could not be printed: {last}")
