"""The report of a run: one page that grows, and one page for each executed lesson."""

import html
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transferlab.kit.formulas import draw_formulas
from transferlab.kit.notebooks import read_json, read_notebook, write_text
from transferlab.kit.results import Result, duration

if TYPE_CHECKING:
    from nbformat import NotebookNode

LONGEST_TEXT = 50_000  # characters of one output on a lesson's page
KEPT_WHOLE = ("text/plain", "image/png", "image/jpeg", "image/gif")  # cut already, or a picture


class Report:
    """Rewrites `report.html` whenever something has happened."""

    def __init__(self, folder: Path, profile: str, device: str) -> None:
        import jinja2

        self.path, self.profile, self.device = folder / "report.html", profile, device
        self.started = self.written = time.time()
        self.contents: dict[str, dict[str, Any]] = {}  # figures and claims by lesson
        self.templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True
        )

    def write(self, results: Sequence[Result]) -> None:
        """Write the page; also the page of each lesson that has ended since the last time."""
        for result in results:
            name = result.lesson.name
            if result.done and result.notebook and name not in self.contents:
                self.contents[name] = {}
                try:
                    self._write_lesson(result)
                    outputs = read_outputs(result.notebook)
                    self.contents[name] = {"figures": figures(outputs), "claims": claims(outputs)}
                except Exception as error:  # an odd output stops nobody; nbconvert raises any kind
                    result.fail(f"its page could not be made: {type(error).__name__}: {error}")
        self.written = time.time()
        page = self.templates.get_template("report.html").render(
            results=results,
            contents=self.contents,
            profile=self.profile,
            device=self.device,
            finished=not any(result.status in ("waiting", "running") for result in results),
            written=time.strftime("%H:%M:%S", time.localtime(self.written)),
            wall=duration(time.time() - self.started),
            started=time.strftime("%Y-%m-%d %H:%M", time.localtime(self.started)),
            counts={
                status: sum(result.status == status for result in results)
                for status in ("ok", "slow", "failed", "interrupted", "running", "waiting")
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
            cell.get("outputs", [])[:] = map(shortened, cell.get("outputs", []))
        body, _ = HTMLExporter(template_name="basic").from_notebook_node(notebook)
        page = self.templates.get_template("report_lesson.html").render(
            result=result,
            body=body,
            light=HtmlFormatter(style="default").get_style_defs(".highlight"),
            dark=HtmlFormatter(style="github-dark").get_style_defs(".highlight"),
        )
        write_text(result.notebook.with_suffix(".html"), page)


def shortened(output: "NotebookNode") -> "NotebookNode":
    """Return an output whose texts are short enough for a page, and say what was left out."""
    data = output.get("data", {})
    if "text" in output:
        output.text = _cut(output.text)
    if "traceback" in output:
        output.traceback = [_cut("\n".join(output.traceback))]
    if "text/plain" in data:
        data["text/plain"] = _cut(data["text/plain"])
    for kind, text in list(data.items()):  # half a table or half a script would be broken
        if isinstance(text, str) and len(text) > LONGEST_TEXT and kind not in KEPT_WHOLE:
            more = f"… {len(data.pop(kind)):,} characters of {kind} were left out of this page."
            data["text/plain"] = f"{data.get('text/plain', '')}\n{more}"
    return output


def _cut(text: str) -> str:
    if len(text) <= LONGEST_TEXT:
        return text
    left_out = len(text) - LONGEST_TEXT
    return f"{text[:LONGEST_TEXT]}\n… {left_out:,} more characters were left out of this page."


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
    found = re.search(r"<img\b[^>]*\balt=([\"'])(.*?)\1", "".join(data.get("text/html", "")), re.S)
    return html.unescape(found[2]) if found else ""


def claims(outputs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the claims that a lesson has measured, as `Claims.show` wrote them."""
    return [
        claim
        for output in outputs
        for claim in output.get("metadata", {}).get("transferlab_claims", [])
    ]
