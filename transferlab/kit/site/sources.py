"""The pages of the site, made from the course's files as they are found.

Notebooks and Markdown keep their places below the course's folder, so that their links hold. Their
copies lack links to what the site has not got, second titles, and widgets, which have no kernel.
"""

import json
import posixpath
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from transferlab.kit.lessons import EXERCISES, OVERVIEW, Lesson, find_lessons
from transferlab.kit.notebooks import WIDGET, files_named_in, read_json, source_of
from transferlab.kit.site.api import api_pages
from transferlab.kit.site.launch import FOLDER, Launch

FRONT = Path(__file__).with_name("front.md")
GUIDES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")  # beside the course
PAPERS = ("LICENSE", "CITATION.cff")  # likewise; linked to as they are
API = "The package, name by name <api/index>"
CELL = {"cell_type": "markdown", "metadata": {}}
STUDENTS = ("README.md", "PREREQUISITES.md", "GLOSSARY.md")  # in the course; the rest is teachers'
LINK = re.compile(r"(?<!!)\[([^\[\]]*)\]\((?!\w+:|#)([^)\s#]+)(?:#[^)\s]*)?\)")
# A block of code, which is left alone, or the place before a heading; its number signs are group 1.
HEADING = re.compile(r"^```.*?^```|^(?=(#+) )", re.MULTILINE | re.DOTALL)


class Sources:
    """Collects the files that Sphinx reads: `texts` that were made, `copies` of files as they are.

    Both are named by their place, such as "course/01_background/01_why_pretrain.ipynb".
    """

    def __init__(self, course: Path, launch: Launch | None = None) -> None:
        self.course, self.root, self.launch = course, course.parent, launch
        self.chapters: dict[Path, list[Lesson]] = {}
        for lesson in find_lessons(course):
            self.chapters.setdefault(lesson.path.parent, []).append(lesson)
        students = [course / name for name in STUDENTS if (course / name).is_file()]
        pages = [*students, *sorted(set(course.glob("*.md")) - set(students))]
        pages += [self.root / name for name in GUIDES if (self.root / name).is_file()]
        notebooks = [path for chapter in self.chapters for path in self._notebooks(chapter)]
        papers = [self.root / name for name in PAPERS if (self.root / name).is_file()]
        papers += [file for path in notebooks for file in files_named_in(path)]
        self.copies = {self._place(path): path for path in papers}
        self.texts = api_pages()
        self.known = {*self.texts, *self.copies, *map(self._place, [*pages, *notebooks])}
        for path in pages:
            text = path.read_text(encoding="utf-8")
            self.texts[self._place(path)] = self._relinked(text, self._place(path))
        for chapter in self.chapters:
            self._add_chapter(chapter)
        self.texts["index.md"] = self._front([self._place(path) for path in pages], len(students))

    def _place(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    def _notebooks(self, chapter: Path) -> list[Path]:
        """Return a chapter's notebooks in their order."""
        lessons = [lesson.path for lesson in self.chapters[chapter]]
        return [x for x in (chapter / OVERVIEW, *lessons, chapter / EXERCISES) if x.is_file()]

    def _add_chapter(self, chapter: Path) -> None:
        """Add a chapter's notebooks; its overview, or a page instead, lists them in the margin."""
        paths = self._notebooks(chapter)
        contents = _contents([path.stem for path in paths if path.name != OVERVIEW], "Lessons")
        for path in paths:
            place, notebook = self._place(path), read_json(path)
            if self.launch and path.name != OVERVIEW:
                self.texts[f"_extra/{FOLDER}/{place}"] = json.dumps(self.launch.notebook(notebook))
            self._prepare(notebook, place)
            if path.name == OVERVIEW:
                notebook["cells"].append(CELL | {"id": "contents", "source": contents})
            elif self.launch:
                buttons = CELL | {"id": "launch", "source": self.launch.buttons(place)}
                notebook["cells"].insert(1, buttons)
            self.texts[place] = json.dumps(notebook)
        if paths[0].name != OVERVIEW:
            self.texts[f"{self._overview(chapter)}.md"] = f"# {chapter.name}\n{contents}"

    def _prepare(self, notebook: dict[str, Any], place: str) -> None:
        """Change a notebook's cells into those that the site shows."""
        titles = 0

        def lowered(found: re.Match[str]) -> str:
            """Put a heading below the page's one title: Sphinx lists "# Part one" like a lesson."""
            nonlocal titles
            titles += found[1] == "#"
            return found[0] or "#" * (titles > 1)

        notebook["metadata"].pop("widgets", None)
        for cell in notebook["cells"]:
            for output in cell.get("outputs", []):
                output.get("data", {}).pop(WIDGET, None)  # its static figure stays
            if cell["cell_type"] == "markdown":
                cell["source"] = HEADING.sub(lowered, self._relinked(source_of(cell), place))

    def _relinked(self, text: str, place: str) -> str:
        """Return a text in which every link leads to a page of the site.

        A link to a file of the package leads to its documentation. Of a link to anything else that
        the site has not got, such as `solutions/`, the words stay.
        """

        def relinked(link: re.Match[str]) -> str:
            target = posixpath.normpath(posixpath.join(posixpath.dirname(place), unquote(link[2])))
            if target in self.known:
                return link[0]
            module = target.removesuffix(".py").split("/")
            if len(module) > 1 and f"api/{module[1]}.rst" in self.known:
                return f"{{py:mod}}`{link[1].strip('`')} <{'.'.join(module)}>`"
            return link[1]

        return LINK.sub(relinked, text)

    def _front(self, guides: list[str], students: int) -> str:
        """Return the front page: every lesson's question, and the contents of the margin."""
        parts = [self._relinked(FRONT.read_text(encoding="utf-8"), "index.md")]
        for chapter, lessons in self.chapters.items():
            parts += [f"## {{doc}}`/{self._overview(chapter)}`", ""]
            links = [(f"[{x.title}]({self._place(x.path)})", x.question) for x in lessons]
            parts += [f"- {link}: {asks}" if asks else f"- {link}" for link, asks in links] + [""]
        margin = {
            "For students": guides[:students],
            "Chapters": [self._overview(chapter) for chapter in self.chapters],
            "For teachers": [place for place in guides[students:] if place != "README.md"],
            "The package": ["Set up and use <README>"] * ("README.md" in guides) + [API],
        }
        return "\n".join([*parts, *(_contents(x, caption) for caption, x in margin.items() if x)])

    def _overview(self, chapter: Path) -> str:
        """Return the name under which Sphinx knows a chapter's overview."""
        return self._place(chapter / OVERVIEW).removesuffix(".ipynb")


def _contents(entries: list[str], caption: str) -> str:
    """Return the directive with which Sphinx lists pages in the margin."""
    return "\n".join(["\n```{toctree}\n:hidden:", f":caption: {caption}\n", *entries, "```\n"])
