"""What a student touches, in JupyterLab and a real browser: sliders, the pad, a bet."""

import io
import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from nbformat import v4
from PIL import Image

pytest.importorskip("anywidget", reason="needs anywidget, of the extra notebook")
sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright, of the extra test")

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
sync_api.expect.set_options(timeout=20_000)  # milliseconds
expect = sync_api.expect
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
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
    """The address of a JupyterLab that shows the notebook, with nothing of this user's settings."""
    folder = tmp_path / "course"
    folder.mkdir()
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = v4.new_notebook(cells=[v4.new_code_cell(source) for source in CELLS])
    notebook.metadata["kernelspec"] = kernel
    nbformat.write(notebook, folder / "toy.ipynb")
    names = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    environment = {**os.environ, **{name: str(tmp_path / name) for name in names}}
    environment |= {"JUPYTER_PREFER_ENV_PATH": "1", "OMP_NUM_THREADS": "1"}
    environment.pop("TRANSFERLAB_PROFILE", None)
    token = secrets.token_hex(16)
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
    command += ["--ServerApp.ip=127.0.0.1", "--ServerApp.port=0", f"--ServerApp.root_dir={folder}"]
    command += [f"--IdentityProvider.token={token}"]
    command += ["--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    log = tmp_path / "log.txt"
    with log.open("wb") as output:
        server = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    try:
        port = port_of(server, tmp_path / "JUPYTER_RUNTIME_DIR", log)
        yield f"http://127.0.0.1:{port}/doc/tree/toy.ipynb?token={token}"
    finally:
        server.terminate()  # it ends its kernels
        server.wait(30)


def port_of(server: subprocess.Popen, runtime: Path, log: Path) -> int:
    """Return the port that the server has chosen, as soon as it listens."""
    for _ in range(600):
        for file in runtime.glob("jpserver-*.json"):
            try:
                return json.loads(file.read_text())["port"]
            except ValueError:
                pass  # it is being written
        assert server.poll() is None, log.read_text()
        time.sleep(0.1)
    raise AssertionError(f"JupyterLab did not start: {log.read_text()}")


@pytest.fixture
def page():
    """A page in a browser that has a mouse and a touch screen."""
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1100, "height": 2000}, has_touch=True)
        page.set_default_timeout(60_000)
        yield page
        browser.close()


@pytest.mark.skipif(CHROMIUM is None, reason=f"needs a browser; found none of {', '.join(NAMES)}")
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
