"""The site: what its pages are made of, and what Sphinx makes of them; no browser is needed."""

import base64
import hashlib
import json
import re
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote

import nbformat
import pytest
from nbformat import v4
from toy_course import write_lesson

from transferlab.errors import InputError
from transferlab.kit.site import build, sources
from transferlab.kit.site.api import api_pages
from transferlab.kit.site.launch import Launch, read_launch

MISSING = [name for name in build.NEEDED if find_spec(name) is None]
needs_sphinx = pytest.mark.skipif(
    bool(MISSING), reason=f"needs the extra site; {', '.join(MISSING)} is not installed"
)
BRANCH = "https://github.com/owner/name/tree/pages"
PIXEL = base64.b64encode(b"no picture, but bytes").decode()
DRAWING = "<img alt='A drawn network.' src='data:image/svg+xml;base64,PHN2Zy8+'>"
WIDGET = "application/vnd.jupyter.widget-view+json"
# startup.js, core.js and what they load, as npm's package mathjax 3.2.2 has them.
MATHJAX = "74cd3c107a297b87e998762543a8dc75ea1629f03bac66df392a1227dc23ef23"


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A course of two chapters, with everything that a page may hold."""
    root = tmp_path_factory.mktemp("site")
    course = root / "course"
    lesson = write_lesson(course, "01_a/01_one", "x = 1", "x", title="One")
    notebook = nbformat.read(lesson, as_version=4)
    notebook.metadata["transferlab"] = {"question": "How many?"}
    picture = {"image/png": PIXEL, WIDGET: {"model_id": "gone"}, "text/plain": "a figure"}
    outputs = [
        v4.new_output("display_data", picture, metadata={"image/png": {"alt": 'Rises to "1".'}}),
        v4.new_output("display_data", {"text/html": DRAWING, "text/plain": "A drawn network."}),
    ]
    notebook.cells[2].outputs = outputs
    texts = (
        "[errors](../../transferlab/errors.py), [solved](../../solutions/01_a/exercises.ipynb), "
        "[*words*](../GLOSSARY.md#words), [two](02_two.ipynb), $a^2$",
        "# Part one\n\n```bash\n# no heading\n```\n\n## A section",
    )
    notebook.cells += map(v4.new_markdown_cell, texts)
    nbformat.write(notebook, lesson)
    write_lesson(course, "01_a/02_two", "print('BatchNorm leak')", title="Two")
    write_lesson(course, "02_b/01_three", title="Three")
    write_lesson(course, "01_a/exercises", title="Exercises")
    overview = v4.new_notebook(cells=[v4.new_markdown_cell("# Chapter A")])
    nbformat.write(overview, course / "01_a/00_overview.ipynb")
    for path in course.rglob("*.ipynb"):
        notebook = nbformat.read(path, as_version=4)
        notebook.metadata["language_info"] = {"name": "python"}
        nbformat.write(notebook, path)
    (course / "GLOSSARY.md").write_text("# Words\n\n| word |\n| --- |\n| head |\n")
    (course / "README.md").write_text("# The map\n\n[One](01_a/01_one.ipynb)\n")
    (root / "README.md").write_text("# Set up\n\n## For practitioners\n\n[Terms](LICENSE)\n")
    (root / "LICENSE").write_text("The terms.\n")
    (root / "solutions/01_a").mkdir(parents=True)
    (root / "solutions/01_a/exercises.ipynb").write_text("the answer that nobody may see")
    return course


def cells_of(text: str) -> str:
    return "\n\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"])


# ---- what the pages are made of ------------------------------------------------------------------


def test_every_file_of_the_course_is_a_page_and_nothing_of_the_solutions(course):
    texts = sources.Sources(course).texts
    ours = {place for place in texts if not place.startswith("api/")}
    notebooks = {"00_overview", "01_one", "02_two", "exercises"}
    assert ours == {
        *("index.md", "README.md", "course/README.md", "course/GLOSSARY.md"),
        *(f"course/01_a/{name}.ipynb" for name in notebooks),
        *("course/02_b/00_overview.md", "course/02_b/01_three.ipynb"),
    }
    assert not [place for place, text in texts.items() if "nobody may see" in text]


def test_a_new_lesson_appears_by_itself(course):
    path = write_lesson(course, "02_b/02_new", title="Brand new")
    try:
        texts = sources.Sources(course).texts
    finally:
        path.unlink()
    assert "[Brand new](course/02_b/02_new.ipynb)" in texts["index.md"]
    assert "\n02_new\n" in texts["course/02_b/00_overview.md"]


def test_the_front_asks_what_the_lessons_ask_and_the_margin_has_its_order(course):
    front = sources.Sources(course).texts["index.md"]
    assert "- [One](course/01_a/01_one.ipynb): How many?" in front
    assert "- [Three](course/02_b/01_three.ipynb)\n" in front
    assert front.index("\ncourse/README.md\n") < front.index("\ncourse/GLOSSARY.md\n")
    assert "TEACHING" not in front  # this course has none


def test_links_lead_to_pages_or_go(course):
    text = cells_of(sources.Sources(course).texts["course/01_a/01_one.ipynb"])
    assert "{py:mod}`errors <transferlab.errors>`, solved, [*words*](../GLOSSARY.md#words)" in text


def test_a_page_has_one_title(course):
    text = cells_of(sources.Sources(course).texts["course/01_a/01_one.ipynb"])
    headings = re.findall(r"^#+ .*", text, re.MULTILINE)
    assert headings == ["# One", "## Part one", "# no heading", "### A section"]


def test_lessons_are_launched_only_where_a_branch_is_named(course):
    place = "course/01_a/01_one.ipynb"
    assert "colab" not in json.dumps(sources.Sources(course).texts)
    texts = sources.Sources(course, read_launch(BRANCH)).texts
    page = cells_of(texts[place])
    assert f"https://colab.research.google.com/github/owner/name/blob/pages/launch/{place})" in page
    assert f"https://mybinder.org/v2/gh/owner/name/pages?urlpath=lab/tree/launch/{place})" in page
    first, header, *_ = json.loads(texts[f"_extra/launch/{place}"])["cells"]
    assert "%pip install" in first["source"] and "github.com/owner/name" in first["source"]
    assert "".join(header["source"]).startswith("# One")
    nbformat.validate(nbformat.reads(texts[f"_extra/launch/{place}"], as_version=4))
    assert "colab" not in cells_of(texts["course/01_a/00_overview.ipynb"])


@pytest.mark.parametrize("address", ["github.com/owner/name", "https://github.com/owner/name"])
def test_another_address_gets_a_sentence(address):
    assert read_launch("") is None
    assert read_launch(BRANCH + "/") == Launch("owner/name", "pages")
    with pytest.raises(InputError, match="is no branch on GitHub; expected"):
        read_launch(address)


def test_the_package_has_a_page_for_each_room_and_names_stand_once():
    pages = api_pages()
    assert "api/kit.rst" not in pages and {"api/data.rst", "api/train.rst"} < set(pages)
    index = pages.pop("api/index.rst")
    assert all(f"   {Path(place).stem}\n" in index for place in pages)
    exported, splits = pages["api/data.rst"], "automodule:: transferlab.data.splits"
    assert exported.index("automodule:: transferlab.data\n") < exported.index(splits)
    assert re.search(rf"{splits}\n +:members:\n +:exclude-members: .*\bfew_shot\b", exported)


def test_what_is_not_installed_is_named(course, tmp_path, monkeypatch):
    monkeypatch.setattr(build, "NEEDED", ("json", "no_such_theme"))
    with pytest.raises(InputError, match=r"no_such_theme is not installed; the site needs: pip"):
        build.build_site(course, tmp_path)


# ---- what Sphinx makes of them -------------------------------------------------------------------


@pytest.fixture(scope="module")
def site(course, tmp_path_factory) -> Path:
    """The built site; of the package one small module, because autodoc imports what it shows."""
    package = {"api/errors.rst": api_pages()["api/errors.rst"]}
    package["api/index.rst"] = (  # a name with two homes: the links back from the code must hold
        "The package\n===========\n\n.. autoclass:: transferlab.InputError\n\n"
        ".. toctree::\n\n   errors\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "api_pages", lambda: dict(package))
        return build.build_site(course, tmp_path_factory.mktemp("build"), BRANCH).parent


def page_of(site: Path, name: str):
    from bs4 import BeautifulSoup

    return BeautifulSoup((site / name).read_text(encoding="utf-8"), "html.parser")


@needs_sphinx
def test_sphinx_has_nothing_to_warn_of(site):
    assert (site.parent / "site-work" / build.WARNINGS).read_text(encoding="utf-8") == ""


@needs_sphinx
def test_pictures_keep_their_alternative_texts(site):
    """myst-nb drops them, unless a renderer of its own keeps them."""
    page = page_of(site, "course/01_a/01_one.html")
    pictures = page.select(".cell_output img")
    assert [picture["alt"] for picture in pictures] == ['Rises to "1".', "A drawn network."]
    assert pictures[0]["src"].endswith(".png")  # the static figure of a widget
    assert pictures[1]["src"].startswith("data:image/svg+xml;base64,")
    assert "model_id" not in page.text and "widget" not in str(page)


def dead_links(site: Path) -> tuple[list[str], int]:
    """Return the links that lead to no file or to no place in it, and how many were looked at."""
    files = list(site.rglob("*.html"))
    pages = {file: page_of(site, file.relative_to(site).as_posix()) for file in files}
    anchors = {file: {e["id"] for e in page.select("[id]")} for file, page in pages.items()}
    dead, looked_at = [], 0
    for file, page in pages.items():
        for element in page.select("a[href], img[src], script[src], link[href]"):
            address = element.get("href") or element.get("src")
            path, _, anchor = unquote(address).partition("#")
            if re.match(r"[a-z]+:", address):
                continue
            target = (file.parent / path.partition("?")[0]).resolve() if path else file
            known = not anchor or target not in pages or anchor in anchors[target]
            if not (target.is_file() and known):
                dead.append(f"{file.relative_to(site)}: {address}")
            looked_at += 1
    return dead, looked_at


@needs_sphinx
def test_every_link_leads_to_a_file_and_a_place_in_it(site):
    dead, looked_at = dead_links(site.resolve())
    assert dead == [] and looked_at > 200


@needs_sphinx
def test_a_page_loads_nothing_from_elsewhere(site):
    for file in site.rglob("*.html"):
        page = page_of(site, str(file.relative_to(site)))
        loaded = [e.get("src") or e.get("href") for e in page.select("script, link, img, iframe")]
        assert not [x for x in loaded if x and re.match(r"(https?:)?//", x)], file.name


@needs_sphinx
def test_search_knows_the_words_of_outputs_and_code(site):
    index = (site / "searchindex.js").read_text(encoding="utf-8")
    assert '"batchnorm"' in index and '"leak"' in index


@needs_sphinx
def test_the_formulas_are_drawn_by_the_files_of_mathjax(site):
    folder = site / "_static" / "mathjax"
    assert 'src="../../_static/mathjax/startup.js' in str(page_of(site, "course/01_a/01_one.html"))
    files = sorted(file for pattern in build.MATHJAX for file in folder.glob(pattern))
    assert hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest() == MATHJAX


@needs_sphinx
def test_nothing_of_the_solutions_is_in_the_site(site):
    files = [file for file in site.rglob("*") if file.is_file()]
    assert not [file for file in files if b"nobody may see" in file.read_bytes()]


@needs_sphinx
def test_the_docstrings_become_documentation(site):
    page = page_of(site, "api/errors.html")
    assert page.find(id="transferlab.errors.InputError")
    assert (site / "_modules/transferlab/errors.html").is_file()
    assert (site / "launch/course/01_a/01_one.ipynb").is_file()
