"""Things to touch: sliders over what is computed already, a pad for a digit, a bet.

Where nobody can touch, there is a static figure. With every cell Jupyter says whether somebody can
answer a question (`allow_stdin`): JupyterLab, Notebook and VS Code yes; papermill, nbclient,
nbconvert and nbval no.
"""

import importlib.util
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from transferlab.data.sets.mnist import read_digit
from transferlab.errors import InputError
from transferlab.plots.figure import Plot


def touchable() -> bool:
    """Return whether somebody sits in front of this notebook, and ipywidgets is installed."""
    ipython = sys.modules.get("IPython")  # a kernel has imported it
    kernel = getattr(ipython and ipython.get_ipython(), "kernel", None)
    request = kernel.get_parent("shell").get("content", {}) if kernel else {}
    return bool(request.get("allow_stdin") and importlib.util.find_spec("ipywidgets"))


@dataclass
class Touchable:
    """A widget, and the figure that stands for it on paper and on web pages."""

    widget: Any
    static: Plot

    def _repr_mimebundle_(self, include: object = None, exclude: object = None):
        figure, metadata = self.static._repr_mimebundle_()
        return self.widget._repr_mimebundle_() | figure, metadata


def _slider(label: str, options: Sequence, value: object) -> Any:
    import ipywidgets

    slider = ipywidgets.SelectionSlider(options=options, value=value, description=label)
    slider.style.description_width, slider.layout.width = "18em", "44em"
    return slider


def explore(
    draw: Callable, grid: Mapping[str, Sequence], start: Sequence, static: Plot | None = None
) -> Plot | Touchable:
    """Show a figure with a slider for each setting, drawn again for the values that are chosen.

    Args:
        draw: takes one value of each setting; fast (0.3 s), as it draws what is computed already.
        grid: each setting, with its unit → its values.
        start: the values shown first.
        static: what is shown where nobody can touch; by default the figure at `start`.
    """
    at = dict(zip(grid, start, strict=False))
    if not len(at) == len(grid) == len(start) or any(at[name] not in grid[name] for name in grid):
        raise InputError(f"start={start!r}: expected one value of each setting of {dict(grid)!r}.")
    static = static or draw(*start)
    if not touchable():
        return static
    import ipywidgets
    from IPython.display import display

    sliders = {name: _slider(name, grid[name], at[name]) for name in grid}
    figure = ipywidgets.interactive_output(lambda **now: display(draw(*now.values())), sliders)
    return Touchable(ipywidgets.VBox([*sliders.values(), figure]), static)


def pad(draw: Callable[[Tensor], Plot], example: Tensor) -> Plot | Touchable:
    """Show a pad to draw a digit on, or to upload one, and the figure that `draw` makes of it.

    Args:
        draw: takes a digit as MNIST has it: (1, 28, 28), float in [0, 1], white on black.
        example: such a digit; its figure is shown where nobody can touch.
    """
    static = draw(example)
    if not touchable():
        return static
    import ipywidgets
    from IPython.display import display

    def show(value: bytes | tuple) -> None:
        file = bytes(value[0]["content"]) if value and isinstance(value, tuple) else value
        try:
            display(draw(read_digit(file))) if file else print("Waiting for a digit, 0 to 9.")
        except InputError as error:
            print(error)

    source = ipywidgets.FileUpload(accept="image/*", description="upload a digit")
    if importlib.util.find_spec("anywidget"):  # without it there is no pad, only the upload
        import anywidget
        import traitlets

        class Pad(anywidget.AnyWidget):
            _esm = Path(__file__).with_name("pad.js")
            value = traitlets.CBytes().tag(sync=True)  # a picture's file; empty when cleared

        source = Pad()
    figure = ipywidgets.interactive_output(show, {"value": source})
    return Touchable(ipywidgets.HBox([source, figure]), static)


@dataclass
class Bet:
    """What a student bets: `str(bet)` is "12 points", and empty before the slider was moved."""

    slider: Any = None

    def __str__(self) -> str:
        return self.slider.label if self.slider and self.slider.index else ""

    def drawn_on(self, plot: Plot, axis: str = "y") -> Plot:
        """Return the figure with a dashed line at the bet on that axis; without a bet, as it is."""
        if str(self):
            axes = plot.figure.axes[0]
            line, along = (axes.axhline, axes.yaxis) if axis == "y" else (axes.axvline, axes.xaxis)
            line(self.slider.value, color="black", linestyle="--")
            along.label.set_text(f"{along.label.get_text()}; dashed: your bet")
            plot.alt += f" Your bet: {self}."
        return plot


def bet(question: str, unit: str, low: int = -50, high: int = 50, step: int = 1) -> Bet:
    """Ask for a bet with a slider, before the run; show nothing where nobody can touch."""
    if not touchable():
        return Bet()
    import ipywidgets
    from IPython.display import display

    bets = [(f"{value} {unit}", value) for value in range(low, high + 1, step)]
    slider = _slider("your bet", [("no bet yet", ""), *bets], "")
    box = ipywidgets.VBox([ipywidgets.Label(question), slider])
    display(box._repr_mimebundle_() | {"text/plain": question}, raw=True)
    return Bet(slider)
