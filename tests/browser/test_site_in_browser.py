"""The site in a real browser: axe's rules, the keyboard, search, and requests that stay at home."""

import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

pytest.importorskip("axe_playwright_python", reason="needs axe-playwright-python, of extra test")
pytest.importorskip("playwright.sync_api", reason="needs playwright, of extra test")

from browsing import CHROMIUM, NO_CHROMIUM, browser, served, violations

from transferlab.kit.site import build, sources
from transferlab.kit.site.api import api_pages

ROOT = Path(__file__).parents[2]
MISSING = [name for name in build.NEEDED if find_spec(name) is None]
LESSON = "04_code/06_efficient_transfer"  # code, tables, figures, a drawing, folded answers
FILES = [
    *("README.md", "CONTRIBUTING.md", "LICENSE"),
    *("course/README.md", "course/GLOSSARY.md", "course/TEACHING.md"),
    *(f"course/{LESSON}.ipynb", "course/04_code/00_overview.ipynb"),
    *("course/02_concepts/01_data_and_model.ipynb", "course/02_concepts/exercises.ipynb"),
    "course/03_formulas/01_neuron_layer_loss.ipynb",
]
PAGES = [
    *(f"course/{LESSON}", "course/03_formulas/01_neuron_layer_loss", "api/optimizers"),
    *("index", "search", "_modules/transferlab/optimizers"),
]
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason=NO_CHROMIUM),
    pytest.mark.skipif(bool(MISSING), reason=f"needs the extra site; {MISSING} not installed"),
]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built site of some real pages; of the package one module, which keeps it fast."""
    folder = tmp_path_factory.mktemp("site")
    for name in FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, folder / name)
    package = {"api/optimizers.rst": api_pages()["api/optimizers.rst"]}
    package["api/index.rst"] = "The package\n===========\n\n.. toctree::\n\n   optimizers\n"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "api_pages", lambda: dict(package))
        return build.build_site(folder / "course", folder / "build").parent


@pytest.fixture(scope="module")
def address(site):
    with served(site) as address:
        yield address


@pytest.fixture(scope="module")
def chromium():
    with browser() as opened:
        yield opened


@pytest.fixture
def open_page(chromium, address):
    """Return a function that opens a page; no page may ask another host, and none may fail."""
    requests, errors, pages = [], [], []

    def opened(name: str, **options):
        page = chromium.new_page(**options)
        page.on("request", lambda request: requests.append(request.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda said: said.type == "error" and errors.append(said.text))
        pages.append(page)
        page.goto(f"{address}/{name}")
        return page

    yield opened
    for page in pages:
        page.close()
    assert requests and not [url for url in requests if not url.startswith((address, "data:"))]
    assert errors == []


@pytest.mark.parametrize(("scheme", "pages"), [("light", PAGES), ("dark", PAGES[1:4])])
def test_axe_finds_nothing(open_page, scheme, pages):
    found = {}
    for name in pages:
        found[name] = violations(open_page(f"{name}.html", color_scheme=scheme))
    assert not {name: faults for name, faults in found.items() if faults}


def test_what_scrolls_is_reached_with_the_keyboard_and_nothing_else(open_page):
    page = open_page(f"course/{LESSON}.html", viewport={"width": 390, "height": 844})
    marked = page.locator("article [tabindex='0']")
    marked.first.wait_for()
    assert violations(page, ["scrollable-region-focusable"]) == {}
    on_a_phone = marked.count()
    assert on_a_phone > 5
    page.set_viewport_size({"width": 1400, "height": 900})
    page.wait_for_function(
        "n => document.querySelectorAll(\"article [tabindex='0']\").length < n", arg=on_a_phone / 2
    )
    scrolls = "e => e.scrollWidth > e.clientWidth || e.scrollHeight > e.clientHeight"
    assert all(marked.nth(i).evaluate(scrolls) for i in range(marked.count()))


def test_a_phone_shows_the_page_at_its_width(open_page):
    for name in ("index", "README", f"course/{LESSON}", "course/GLOSSARY", "course/README"):
        page = open_page(f"{name}.html", viewport={"width": 390, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, name


def test_search_finds_a_page(open_page):
    page = open_page("index.html")
    page.get_by_placeholder("Search").fill("BatchNorm leak")
    page.keyboard.press("Enter")
    page.locator("#search-results a[href*='02_concepts/exercises.html']").first.wait_for()


def test_formulas_are_drawn_and_read_aloud(open_page):
    page = open_page("course/03_formulas/01_neuron_layer_loss.html")
    page.locator("mjx-container").first.wait_for()
    assert (
        page.locator("mjx-container svg").count() == page.locator("mjx-assistive-mml").count() > 20
    )
    assert not page.locator("mjx-merror").count()


def test_figures_have_a_light_card_in_the_dark(open_page):
    page = open_page(f"course/{LESSON}.html", color_scheme="dark")
    figure = page.locator(".cell_output img").first
    colour = "e => getComputedStyle(e).backgroundColor"
    assert figure.evaluate(colour) == "rgb(255, 255, 255)"
    assert page.locator("body").evaluate(colour) != "rgb(255, 255, 255)"


def test_paper_has_all_answers_and_no_margin(open_page):
    page = open_page(f"course/{LESSON}.html")
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    folded = page.locator("details")
    assert folded.count() > 2 and not page.locator("details:not([open])").count()
    assert not page.locator(".sidebar-drawer").is_visible()
    assert page.locator("pre").first.evaluate("e => getComputedStyle(e).whiteSpace") == "pre-wrap"
