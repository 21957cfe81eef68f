"""The report of a run: one page that grows, and one page for each executed lesson."""

import re
import time
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from transferlab.kit.formulas import draw_formulas
from transferlab.kit.notebooks import read_json, read_notebook, write_text
from transferlab.kit.results import Result, duration


class Report:
    """Rewrites `report.html` whenever something has happened."""

    def __init__(self, folder: Path, profile: str, device: str) -> None:
        import jinja2

        self.folder, self.profile, self.device = folder, profile, device
        self.started = time.time()
        self.contents: dict[str, dict[str, Any]] = {}  # figures and claims by lesson
        self.templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True
        )

    @property
    def path(self) -> Path:
        """Where the page is."""
        return self.folder / "report.html"

    def write(self, results: Sequence[Result]) -> None:
        """Write the page; also the page of each lesson that has ended since the last time."""
        for result in results:
            name = result.lesson.name
            if result.done and result.notebook and name not in self.contents:
                self._write_lesson(result)
                outputs = read_outputs(result.notebook)
                self.contents[name] = {"figures": figures(outputs), "claims": claims(outputs)}
        page = self.templates.get_template("report.html").render(
            results=results,
            contents=self.contents,
            profile=self.profile,
            device=self.device,
            finished=not any(result.status in ("waiting", "running") for result in results),
            wall=duration(time.time() - self.started),
            started=time.strftime("%Y-%m-%d %H:%M", time.localtime(self.started)),
            counts={
                status: sum(result.status == status for result in results)
                for status in ("ok", "slow", "failed", "stopped", "running", "waiting")
            },
        )
        write_text(self.path, page)

    def _write_lesson(self, result: Result) -> None:
        from nbconvert import HTMLExporter
        from pygments.formatters import HtmlFormatter

        notebook = read_notebook(result.notebook)
        for cell in notebook.cells:
            if cell.cell_type == "markdown":
                cell.source = draw_formulas(cell.source)
        body, _ = HTMLExporter(template_name="basic").from_notebook_node(notebook)
        page = self.templates.get_template("report_lesson.html").render(
            result=result,
            body=body,
            light=HtmlFormatter(style="default").get_style_defs(".highlight"),
            dark=HtmlFormatter(style="github-dark").get_style_defs(".highlight"),
        )
        write_text(result.notebook.with_suffix(".html"), page)


def read_outputs(notebook: Path) -> list[dict[str, Any]]:
    """Return all outputs of a notebook, in its order."""
    return [out for cell in read_json(notebook)["cells"] for out in cell.get("outputs", [])]


def figures(outputs: Sequence[dict[str, Any]]) -> list[dict[str, str]]:
    """Return the images among the outputs with their alternative texts."""
    found = []
    for output in outputs:
        data = output.get("data", {})
        if "image/png" in data:
            alt = output["metadata"].get("image/png", {}).get("alt") or _alt_in(data)
            found.append({"png": re.sub(r"\s", "", "".join(data["image/png"])), "alt": alt})
    return found


def _alt_in(data: dict[str, Any]) -> str:
    """Return the alternative text of the first <img> in an output's HTML, or an empty text."""
    alts: list[str] = []

    class Images(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            if tag == "img":
                alts.append(dict(attrs).get("alt") or "")

    Images().feed("".join(data.get("text/html", "")))
    return alts[0] if alts else ""


def claims(outputs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the claims that a lesson has measured, as `Claims.show` wrote them."""
    return [
        claim
        for output in outputs
        for claim in output.get("metadata", {}).get("transferlab_claims", [])
    ]
