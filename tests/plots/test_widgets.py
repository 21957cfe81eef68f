"""Things to touch, where somebody can touch them and where nobody can."""

import importlib.util
import io
import sys
from datetime import UTC, datetime
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from nbclient import NotebookClient
from nbformat import v4
from PIL import Image

from transferlab import InputError, lesson, plots
from transferlab.metrics import interval
from transferlab.plots import Plot, widgets

ipywidgets = pytest.importorskip("ipywidgets", reason="needs ipywidgets, of the extra notebook")
GRID = {"labels per class": [1, 5, 20], "rate": [0.1, 0.01]}


def draw(labels: int, rate: float) -> Plot:
    lines = {"a": ([1, 2], [labels, rate])}
    return plots.lines(lines, x_label="x", y_label="y", alt=f"{labels} labels at {rate}.")


def show_ink(digit: torch.Tensor) -> Plot:
    return plots.images(digit[None], ["digit"], alt=f"A digit with {digit.sum():.1f} of ink.")


@pytest.fixture
def front(monkeypatch):
    """Somebody sits in front of the notebook; return what is displayed, bundles and objects."""
    shown = []
    monkeypatch.setattr(widgets, "touchable", lambda: True)
    monkeypatch.setattr("IPython.display.display", lambda what, **_: shown.append(what))
    # Another test of this process may have left a kernel's shell, without a kernel, behind.
    monkeypatch.setattr("ipywidgets.widgets.interaction.clear_output", lambda wait: None)
    monkeypatch.setattr("ipywidgets.widgets.widget_output.get_ipython", lambda: None)
    return shown


# ---- who can touch -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "installed", "expected"),
    [
        ({"content": {"allow_stdin": True}}, True, True),
        ({"content": {"allow_stdin": False}}, True, False),
        ({"content": {}}, True, False),
        ({}, True, False),
        ({"content": {"allow_stdin": True}}, False, False),
    ],
    ids=["a front end", "a runner", "silent", "no cell yet", "no ipywidgets"],
)
def test_the_request_of_the_cell_decides(monkeypatch, request_, installed, expected):
    kernel = SimpleNamespace(get_parent=lambda channel: request_)
    shell = SimpleNamespace(kernel=kernel)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: installed or None)
    assert widgets.touchable() is expected


def test_python_and_ipython_without_a_kernel_have_nobody(monkeypatch):
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=SimpleNamespace))
    assert not widgets.touchable()
    monkeypatch.delitem(sys.modules, "IPython")
    assert not widgets.touchable()


FIGURE = 'plots.bars({"a": interval([1, 2])}, x_label="points", alt="A bar.")'
TOUCHED = [
    """import torch
from transferlab import lesson, plots
from transferlab.metrics import interval
from transferlab.plots import widgets
run = lesson.start("smoke", "cpu", 0)""",
    'bet = lesson.bet("How many points?", "points")',
    f'widgets.explore(lambda n: {FIGURE}, {{"n": [1, 2]}}, [2])',
    f"widgets.pad(lambda digit: {FIGURE}, torch.zeros(1, 28, 28))",
    f'bet.drawn_on({FIGURE}, "x")',
    'claims = lesson.Claims(run)\nclaims.positive("it helps", [1, 2], "points", bet=bet)',
    "claims.show()",
]
UNTOUCHED = [TOUCHED[0], "", *[FIGURE] * 3, TOUCHED[5].replace(", bet=bet", ""), TOUCHED[6]]


def test_a_run_that_nobody_watches_keeps_the_same_bytes_as_without_widgets():
    sources = [*TOUCHED, *UNTOUCHED]
    notebook = v4.new_notebook(cells=[v4.new_code_cell(source) for source in sources])
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    assert "widgets" not in notebook.metadata
    for cell in notebook.cells:
        for output in cell.outputs:
            output.pop("execution_count", None)
    outputs = [cell.outputs for cell in notebook.cells]
    assert outputs[: len(TOUCHED)] == outputs[len(TOUCHED) :]
    assert outputs[2][0].metadata["image/png"]["alt"] == "A bar."


# ---- sliders -------------------------------------------------------------------------------------


def test_where_nobody_can_touch_the_chosen_figure_is_shown():
    shown = widgets.explore(draw, GRID, start=(5, 0.01))
    assert isinstance(shown, Plot) and shown.alt == "5 labels at 0.01."
    multiples = plots.lines({"a": ([1], [1])}, x_label="x", y_label="y", alt="All of them.")
    assert widgets.explore(draw, GRID, (5, 0.01), multiples) is multiples


def test_a_slider_draws_again(front):
    labels, rate, figure = widgets.explore(draw, GRID, start=(5, 0.01)).widget.children
    assert (labels.description, rate.description) == tuple(GRID)
    assert isinstance(figure, ipywidgets.Output)
    assert [plot.alt for plot in front] == ["5 labels at 0.01."]
    labels.value = 20
    rate.index = 0
    assert [plot.alt for plot in front[1:]] == ["20 labels at 0.01.", "20 labels at 0.1."]


def test_a_widget_brings_its_figure_for_paper(front):
    data, metadata = widgets.explore(draw, GRID, start=(1, 0.1))._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    expected, alt = draw(1, 0.1)._repr_mimebundle_()
    assert metadata == alt and {**data, **expected} == data


def test_values_may_be_an_array_or_names(front):
    grid = {"steps": np.array([10, 100]), "method": ("probe", "all")}
    steps, method, _ = widgets.explore(draw, grid, start=(100, "all")).widget.children
    assert (steps.value, method.value) == (100, "all")


@pytest.mark.parametrize(
    ("grid", "start"),
    [(GRID, (2, 0.1)), (GRID, (1,)), (GRID, (1, 0.1, 3)), (GRID, ()), ({"a": []}, (1,))],
)
def test_a_start_that_is_not_in_the_grid_gets_a_sentence(grid, start):
    with pytest.raises(InputError, match="expected one value of each setting of"):
        widgets.explore(draw, grid, start)


# ---- the pad -------------------------------------------------------------------------------------


def picture(ink: int, paper: int) -> bytes:
    """Return the file of a picture with one bar."""
    image, file = Image.new("L", (200, 160), paper), io.BytesIO()
    image.paste(ink, (60, 30, 80, 130))
    image.save(file, "PNG")
    return file.getvalue()


def test_where_nobody_can_touch_the_example_is_shown():
    assert widgets.pad(show_ink, torch.ones(1, 28, 28)).alt == "A digit with 784.0 of ink."


def test_the_pad_shows_what_becomes_of_a_stroke(front, capsys):
    pytest.importorskip("anywidget", reason="needs anywidget, of the extra notebook")
    pad, _ = widgets.pad(show_ink, torch.zeros(1, 28, 28)).widget.children
    assert "Waiting for a digit" in capsys.readouterr().out and front == []
    pad.value = memoryview(picture(255, 0))  # as the browser sends it
    assert front[-1].alt == "A digit with 80.0 of ink."  # 4 × 20 pixels
    pad.value = b"no picture"
    assert "this file is no picture" in capsys.readouterr().out
    pad.value = b""
    assert "Waiting for a digit" in capsys.readouterr().out and len(front) == 1


def test_without_anywidget_a_picture_is_uploaded(front, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    upload, _ = widgets.pad(show_ink, torch.zeros(1, 28, 28)).widget.children
    assert isinstance(upload, ipywidgets.FileUpload)
    file = picture(0, 255)
    when = datetime.now(UTC)
    about = {"name": "1.png", "type": "image/png", "size": len(file), "last_modified": when}
    upload.value = [{**about, "content": memoryview(file)}]
    assert front[-1].alt == "A digit with 80.0 of ink."


# ---- a bet ---------------------------------------------------------------------------------------


def bars() -> Plot:
    return plots.bars({"a": interval([1, 2])}, x_label="gain (points)", alt="A bar.")


def test_a_bet_is_none_until_the_slider_was_moved(front):
    bet = lesson.bet("How many points?", "points")
    assert str(bet) == "" and bet.slider.options[bet.slider.index][0] == "no bet yet"
    bet.slider.label = "12 points"
    assert str(bet) == "12 points" and bet.slider.value == 12
    bet.slider.label = "0 points"  # a bet, too
    assert str(bet) == "0 points"
    bet.slider.index = 0
    assert str(bet) == ""
    [bundle] = front
    assert bundle["text/plain"] == "How many points?"
    assert "application/vnd.jupyter.widget-view+json" in bundle


def test_a_bet_has_a_range_and_a_unit(front):
    labels = [label for label, _ in lesson.bet("How much?", "×", 0, 10, 5).slider.options]
    assert labels == ["no bet yet", "0 ×", "5 ×", "10 ×"]


@pytest.mark.parametrize(("axis", "name"), [("x", "gain (points)"), ("y", "loss")])
def test_a_figure_draws_the_bet(front, axis, name):
    bet = lesson.bet("How many points?", "points")
    bet.slider.value = 12
    plot = bars()
    axes = plot.figure.axes[0]
    axes.set_ylabel("loss")
    assert bet.drawn_on(plot, axis) is plot
    line = axes.lines[-1]
    assert list(line.get_xdata() if axis == "x" else line.get_ydata()) == [12, 12]
    assert getattr(axes, f"get_{axis}label")() == f"{name}; dashed: your bet"
    assert plot.alt == "A bar. Your bet: 12 points."


def test_without_a_bet_the_figure_stays_as_it_is(front):
    for bet in (lesson.bet("How many points?", "points"), widgets.Bet()):
        plot = bars()
        before = plot._repr_mimebundle_()
        assert bet.drawn_on(plot, "x")._repr_mimebundle_() == before
