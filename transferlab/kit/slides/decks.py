"""A deck of slides for each lesson: its question, drawings, figures, claims and decision.

No code, and few words: what stands around a picture in the lesson becomes the speaker's notes, and
so does the lesson's row of TEACHING.md. The slides are reveal.js', which comes with the package
sphinx-revealjs; they need no network.
"""

import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jinja2

from transferlab.errors import InputError
from transferlab.kit.classroom.texts import page as page_of
from transferlab.kit.classroom.texts import rendered
from transferlab.kit.lessons import Lesson
from transferlab.kit.notebooks import read_json, source_of, write_text

TEMPLATE = Path(__file__).with_name("deck.html")
REVEAL = "reveal"  # the folder of reveal.js beside the decks
PARTS = ("dist/reveal.css", "dist/reset.css", "dist/reveal.js", "plugin/notes")
HOW = """Arrow keys turn the slides, S opens the speaker's view with notes, Escape shows all at
once. For paper, add ?print-pdf to the address and print."""
QUESTION, DECIDE, RECAP = "The question", "Decide", "Recap"
NO_SLIDE = ("What runs where", "Your turn", "References", "The chapter in short")
# What a text shows by itself: formulas on lines of their own, and tables.
SHOWN = re.compile(r"\$\$.+?\$\$|(?:^\|[^\n]*\|[ ]*$\n?)+", re.DOTALL | re.MULTILINE)
TABLES = re.compile(r"<table.*?</table>", re.DOTALL)
NUMBER = re.compile(r"^\d+\. ")
FOLDED = re.compile(r"<details>(?:<summary>(.*?)</summary>)?(.*?)</details>", re.DOTALL)
BOLD = re.compile(r"\*\*(.+?)\*\*", re.DOTALL)
HEADING = re.compile(r"^## ", re.MULTILINE)
POINTS = re.compile(r"^(?:[-*]|\d+\.) ", re.MULTILINE)  # the beginning of a list's entry
ROW = re.compile(r"^\| \[[^\]]*\]\(([^)]*)\) \| (.*?) \| (.*?) \|$", re.MULTILINE)


@dataclass
class Slide:
    """One slide: a heading, HTML to see, HTML that only the speaker sees.

    `kind` is "words", "question" or "picture"; a table is a picture, too.
    """

    heading: str
    seen: str
    notes: str = ""
    kind: str = "words"


@dataclass
class Section:
    """A part of a lesson under one heading: its texts, and its pictures where they stand."""

    heading: str
    parts: list[tuple[str, str]] = field(default_factory=list)  # ("text" or "picture", content)

    @property
    def text(self) -> str:
        return "\n\n".join(content for kind, content in self.parts if kind == "text")


def write_decks(lessons: Sequence[Lesson], course: Path, to: Path) -> list[Path]:
    """Write a deck for each lesson, a list of them, and reveal.js; return the decks."""
    _copy_reveal(to / REVEAL)
    template = jinja2.Template(TEMPLATE.read_text("utf-8"))
    hints = teachers_hints(course)
    decks = []
    for lesson in lessons:
        path = to / f"{lesson.name}.html"
        slides = list(slides_of(lesson, hints.get(f"{lesson.name}.ipynb", "")))
        page = template.render(title=lesson.title, slides=slides, reveal=f"../{REVEAL}")
        write_text(path, page)
        decks.append(path)
    entries = zip(lessons, decks, strict=True)
    links = [
        f"- {one.name[:2]}.{one.path.stem[:2]} [{one.title}]({path.relative_to(to).as_posix()})"
        for one, path in entries
    ]
    write_text(to / "index.html", page_of("Slides", rendered("\n".join([HOW, "", *links]))))
    return decks


def _copy_reveal(to: Path) -> None:
    spec = find_spec("sphinx_revealjs")
    if spec is None or not spec.submodule_search_locations:
        raise InputError("slides need the package sphinx-revealjs: pip install -e '.[site]'")
    found = Path(spec.submodule_search_locations[0]) / "_static/revealjs"
    for part in PARTS:
        source, target = found / part, to / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        else:
            shutil.copyfile(source, target)


def teachers_hints(course: Path) -> dict[str, str]:
    """Return what TEACHING.md says of each lesson, as HTML, by the lesson's file."""
    page = course / "TEACHING.md"
    rows = ROW.findall(page.read_text("utf-8")) if page.is_file() else []
    hint = "**What students get wrong.** {}\n\n**Show live.** {}"
    return {name: rendered(hint.format(wrong, live)) for name, wrong, live in rows}


# ---- from a lesson to its slides -----------------------------------------------------------------


def slides_of(lesson: Lesson, hint: str = "") -> Iterator[Slide]:
    """Yield the slides of a lesson."""
    first, *sections = sections_of(read_json(lesson.path)["cells"])
    goals = [point for point in _points(first.text) if not point.startswith("**")]
    last = Slide(lesson.title, f"<p>You will be able to</p>{_list(goals)}", hint)
    for section in sections:
        if section.heading in NO_SLIDE:
            continue
        new = list(_slides_of(section, lesson))
        if not new:  # nothing to see: it is said over the slide before
            last.notes += rendered(f"**{section.heading}.**\n\n{section.text}")
        for slide in new:
            yield last
            last = slide
    yield last


def _slides_of(section: Section, lesson: Lesson) -> Iterator[Slide]:
    """Yield the slides of a part of a lesson."""
    pictures = list(_pictures(section))
    if section.heading == QUESTION:
        asked = lesson.question or section.heading
        notes = "" if pictures else rendered(section.text)  # else they stand with the picture
        yield Slide(QUESTION, rendered(f"**{asked}**"), notes, "question")
    yield from pictures
    if section.heading == DECIDE:
        case = FOLDED.sub("", section.text)
        answer = FOLDED.search(section.text)  # what is folded after it asks something else
        seen = rendered(answer[2]) if answer else ""
        yield Slide(DECIDE, f'{rendered(case)}<div class="fragment">{seen}</div>')
    elif section.heading == RECAP:
        yield Slide(RECAP, _list(_points(section.text)))


def sections_of(cells: list[dict[str, Any]]) -> list[Section]:
    """Return the parts of a lesson; the first is what stands above the first heading."""
    sections = [Section("")]
    for cell in cells:
        if cell["cell_type"] == "code":
            sections[-1].parts += [("picture", shown) for shown in _shown(cell)]
            continue
        above, *parts = HEADING.split(source_of(cell))
        sections[-1].parts.append(("text", above.strip()))
        for part in parts:
            heading, _, text = part.partition("\n")
            sections.append(Section(NUMBER.sub("", heading.strip()), [("text", text.strip())]))
    return sections


def _shown(cell: dict[str, Any]) -> Iterator[str]:
    """Yield the pictures and tables of a cell as HTML, each with its alternative text."""
    for output in cell["outputs"]:
        kinds = output.get("data", {})
        if "image/png" in kinds:
            code = "".join(kinds["image/png"]).replace("\n", "")
            alt = escape(output["metadata"].get("image/png", {}).get("alt", ""), quote=True)
            yield (
                f'<figure><img src="data:image/png;base64,{code}" alt="{alt}">'
                f"<figcaption>{alt}</figcaption></figure>"
            )
        elif "text/html" in kinds and re.search("<img|<table", html := "".join(kinds["text/html"])):
            yield from TABLES.findall(html) or [html]  # one at a time


def _pictures(section: Section) -> Iterator[Slide]:
    """Yield a slide for each picture; the text around it is for the speaker."""
    notes, last = [], None
    for kind, content in section.parts:
        if kind == "text":
            notes.append(content)
        for shown in [content] if kind == "picture" else _seen_in(content):
            if last:
                yield last
            last = Slide(section.heading, shown, rendered("\n\n".join(notes)), "picture")
            notes = []
    if last:
        last.notes += rendered("\n\n".join(notes))
        yield last


def _seen_in(text: str) -> Iterator[str]:
    """Yield what a text shows by itself, as HTML: all its formulas at once, then each table."""
    found = SHOWN.findall(FOLDED.sub("", text))
    if formulas := [one for one in found if not one.startswith("|")]:
        yield rendered("\n\n".join(formulas))
    yield from (rendered(one) for one in found if one.startswith("|"))


def _points(text: str) -> list[str]:
    """Return the entries of the lists in a text, each cut down to its first bold words, if any."""
    found = [part.strip() for part in POINTS.split(FOLDED.sub("", text))[1:]]
    entries = [entry.partition("\n\n")[0] for entry in found]
    return [bold[1] if (bold := BOLD.match(entry)) else entry for entry in entries]


def _list(entries: Sequence[str]) -> str:
    return rendered("\n".join(f"- {entry}" for entry in entries))
