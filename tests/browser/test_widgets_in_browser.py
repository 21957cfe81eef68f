"""What a student touches, in JupyterLab and a real browser: sliders, the pad, a bet."""

import io

import nbformat
import pytest
from browsing import CHROMIUM, NO_CHROMIUM, browser, jupyterlab
from nbformat import v4
from PIL import Image

pytest.importorskip("anywidget", reason="needs anywidget, of the extra notebook")
sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright, of the extra test")

sync_api.expect.set_options(timeout=20_000)  # milliseconds
expect = sync_api.expect
CELLS = [
    """import torch
from transferlab import lesson, plots
from transferlab.plots import widgets
run = lesson.start("class", "cpu", 0)""",
    """bet = lesson.bet("How many points does pre-training gain?", "points", low=0, high=20)""",
    """def draw(labels, steps):
    x = list(range(1, steps + 1))
    lines = {"pre-trained": (x, [90 - 60 / labels / step for step in x])}
    alt = f"The accuracy at {labels} labels, {steps} steps."
    return plots.lines(lines, x_label="step", y_label="accuracy (%)", alt=alt)
grid = {"labels per class": [1, 5, 20], "steps (of 32 images)": [10, 100]}
widgets.explore(draw, grid, start=(1, 10))""",
    """def look(digit):
    assert digit.shape == (1, 28, 28)
    return plots.images(digit[None], ["this"], alt="The digit.")
example = torch.zeros(1, 28, 28)
example[0, 4:24, 13:15] = 1
widgets.pad(look, example)""",
    """claims = lesson.Claims(run)
claims.positive("Pre-training helps", [11.0, 12.5, 9.0, 14.0], "points", margin=3, bet=bet)
claims.show()""",
]


@pytest.fixture
def lab(tmp_path):
    """The address of a JupyterLab that shows the notebook."""
    folder = tmp_path / "course"
    folder.mkdir()
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = v4.new_notebook(cells=[v4.new_code_cell(source) for source in CELLS])
    notebook.metadata["kernelspec"] = kernel
    nbformat.write(notebook, folder / "toy.ipynb")
    with jupyterlab(folder, tmp_path / "settings") as (address, token):
        yield f"{address}/doc/tree/toy.ipynb?token={token}"


@pytest.fixture
def page():
    """A page in a browser that has a mouse and a touch screen."""
    with browser() as opened:
        page = opened.new_page(viewport={"width": 1100, "height": 2000}, has_touch=True)
        page.set_default_timeout(60_000)
        yield page


@pytest.mark.skipif(CHROMIUM is None, reason=NO_CHROMIUM)
def test_a_student_touches_everything(lab, page):
    errors = []

    def heard(message):
        # A restart cancels what JupyterLab's debugger has just asked; that is not ours.
        if message.type == "error" and "restore the debugger state" not in message.text:
            errors.append(message.text)

    page.on("console", heard)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(lab)
    page.get_by_text("| Idle").wait_for()
    page.get_by_role("button", name="Restart the kernel and run all cells").click()
    page.get_by_role("button", name="Confirm Kernel Restart").click()
    table = page.locator("table", has_text="Pre-training helps")
    table.wait_for()
    assert "your bet" not in table.inner_text()
    move_a_slider(page)
    draw_on_the_pad(page)
    bet_twelve_points(page, table)
    assert errors == []


def move_a_slider(page):
    figure = page.locator(".widget-vbox img")
    before = figure.get_attribute("src")
    page.get_by_role("slider").nth(1).press("ArrowRight")  # labels per class: 1 to 5
    expect(figure).not_to_have_attribute("src", before)
    page.get_by_role("slider").nth(1).press("ArrowLeft")
    expect(figure).to_have_attribute("src", before)


def draw_on_the_pad(page):
    pad, beside = page.get_by_role("img", name="A pad"), page.locator(".widget-hbox .widget-output")
    figure, waiting = beside.locator("img"), beside.get_by_text("Waiting for a digit")
    expect(waiting).to_be_visible()
    corner = pad.bounding_box()
    page.mouse.move(corner["x"] + 60, corner["y"] + 20)
    page.mouse.down()
    page.mouse.move(corner["x"] + 60, corner["y"] + 400, steps=9)  # it ends below the pad
    page.mouse.up()
    expect(figure).to_be_visible()
    one = figure.get_attribute("src")
    page.get_by_role("button", name="clear").click()
    expect(waiting).to_be_visible()
    corner = pad.bounding_box()  # it may have moved: the figure beside it has gone
    page.touchscreen.tap(corner["x"] + 200, corner["y"] + 200)
    expect(figure).to_be_visible()
    dot = figure.get_attribute("src")
    assert dot != one
    upload = page.get_by_label("or upload a picture")
    upload.set_input_files({"name": "x.png", "mimeType": "image/png", "buffer": b"no picture"})
    expect(beside.get_by_text("this file is no picture")).to_be_visible()
    upload.set_input_files({"name": "1.png", "mimeType": "image/png", "buffer": picture_of_a_one()})
    expect(figure).to_be_visible()
    assert figure.get_attribute("src") != dot


def picture_of_a_one() -> bytes:
    """Return a PNG: black ink on white paper."""
    picture, file = Image.new("L", (90, 120), 255), io.BytesIO()
    picture.paste(0, (40, 20, 50, 100))
    picture.save(file, "PNG")
    return file.getvalue()


def bet_twelve_points(page, table):
    slider = page.get_by_role("slider").first
    for _ in range(13):  # from "no bet yet" over 0
        slider.press("ArrowRight")
    expect(page.get_by_text("12 points", exact=True)).to_be_visible()
    page.get_by_text("claims.show()").click()
    page.keyboard.press("Control+Enter")
    expect(table.get_by_text("12 points", exact=True)).to_be_visible()
    assert "your bet" in table.inner_text()
