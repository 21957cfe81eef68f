"""The pages that a run writes, in a real browser: axe's rules in light and dark."""

import shutil
from pathlib import Path

import pytest

pytest.importorskip("axe_playwright_python", reason="needs axe-playwright-python, of extra test")
pytest.importorskip("playwright.sync_api", reason="needs playwright, of extra test")

from browsing import CHROMIUM, NO_CHROMIUM, browser, violations

from transferlab.kit.lessons import read_lesson
from transferlab.kit.report import Report
from transferlab.kit.results import LIMITS, Result

NAME = "03_formulas/01_neuron_layer_loss"  # code, figures, drawings, formulas, tables


@pytest.fixture
def report(tmp_path: Path) -> Path:
    """The report of a run that has ended with the outputs that the notebook keeps."""
    notebook = tmp_path / f"{NAME}.ipynb"
    notebook.parent.mkdir()
    shutil.copyfile(Path(__file__).parents[2] / "course" / f"{NAME}.ipynb", notebook)
    result = Result(read_lesson(notebook), LIMITS["smoke"], "ok", notebook=notebook)
    Report(tmp_path, "smoke", "cpu").write([result])
    assert result.status == "ok", result.error
    return tmp_path


@pytest.mark.skipif(CHROMIUM is None, reason=NO_CHROMIUM)
def test_axe_finds_nothing_in_a_report(report):
    with browser() as chromium:
        for name, width, scheme in (("report", 1280, "light"), (NAME, 390, "dark")):
            size = {"width": width, "height": 800}
            page = chromium.new_page(viewport=size, color_scheme=scheme)
            page.goto((report / f"{name}.html").as_uri())
            assert violations(page) == {}, name
