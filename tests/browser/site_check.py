"""Look at every page of a built site: python tests/browser/site_check.py build/site [pattern]

Prints the faults that axe finds in light and dark, the errors of the console, and every request
that would leave the site. The tests do the same with a few pages.
"""

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from browsing import CHROMIUM, NO_CHROMIUM, browser, served, violations
from tqdm import tqdm

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Request


def check(site: Path, pattern: str = "**/*.html") -> Counter:
    """Print the faults of each page; return how many there are of each kind."""
    names = sorted(file.relative_to(site).as_posix() for file in site.glob(pattern))
    totals: Counter = Counter()
    with served(site) as address, browser() as chromium:
        for scheme in ("light", "dark"):
            for name in tqdm(names, desc=scheme):
                if faults := faults_of(chromium, address, name, scheme):
                    tqdm.write(f"{scheme:5} {name}: {dict(faults)}")
                    totals += faults
    print(f"{len(names)} pages in light and dark: {dict(totals) or 'no faults'}")
    return totals


def faults_of(chromium: "Browser", address: str, name: str, scheme: str) -> Counter:
    """Open a page; return how many faults of each kind it has."""
    faults: Counter = Counter()

    def asks(request: "Request") -> None:
        if not request.url.startswith((address, "data:")):
            faults[f"request to {request.url}"] += 1

    def says(message: "ConsoleMessage") -> None:
        if message.type == "error":
            faults[f"console: {message.text}"] += 1

    page = chromium.new_page(viewport={"width": 1100, "height": 900}, color_scheme=scheme)
    page.on("request", asks)
    page.on("console", says)
    page.on("pageerror", lambda error: faults.update([f"script: {error}"]))
    page.goto(f"{address}/{name}")
    faults.update({rule: len(elements) for rule, elements in violations(page).items()})
    page.close()
    return faults


if __name__ == "__main__":
    if CHROMIUM is None:
        sys.exit(NO_CHROMIUM)
    sys.exit(1 if check(Path(sys.argv[1]), *sys.argv[2:]) else 0)
