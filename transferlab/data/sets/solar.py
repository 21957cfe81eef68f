"""Photos of solar cells, functional or defective, that come with the package elpv-dataset.

Electroluminescence: a current makes a cell glow, and what is broken stays dark. The cells of one
module look alike, so a random split is too easy: cells of the same module are in both parts. The
package does not say which cell is from which module, but the files lie module by module, and the
brightness jumps where a new one begins. `MODULES` holds the lengths that this gives: 44 modules, as
many as the authors photographed. A border may be wrong by a few cells.

Source: Deitsch et al., Automatic Classification of Defective Photovoltaic Module Cells in
Electroluminescence Images, Solar Energy 185 (2019). CC BY-NC-SA 4.0: not for commercial use.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from transferlab.data.folders import ImageFiles
from transferlab.data.sets.cards import cards
from transferlab.errors import InputError

KINDS = ("all", "mono", "poly")
FUNCTIONAL, DEFECTIVE = 0.0, 1.0  # the probabilities of a defect that experts were sure of
DEGREES = (0.0, 1 / 3, 2 / 3, 1.0)
# Name of the task → its classes.
TASKS = {
    "certain": ["functional", "defective"],
    "all": ["functional", "defective"],
    "degree": ["functional", "possibly functional", "possibly defective", "defective"],
}
# Cells of each module, in the order of the files.
MODULES = (
    *(60,) * 15,
    *(49, 73, 57, 61, 64, 55, 56, 59, 65, 54, 61, 60),
    *(60, 59, 56, 55, 49, 61, 58, 73, 59),
    *(72, 60, 60, 60, 48, 60, 60, 60),
)


def solar_cells(
    task: str = "certain",
    kind: str = "all",
    transform: Callable[[Any], Tensor] | None = None,
) -> ImageFiles:
    """Return photos of solar cells of 300×300 pixels, as files that are read when asked for.

    >>> cells = solar_cells(transform=backbone.transform)
    >>> train, test = split(cells, (0.7, 0.3), seed=0, groups=solar_modules())

    Args:
        task: "certain": functional or defective, without the cells of which the experts were not
            sure; "all": with them, defective from a probability of 2/3 on; "degree": the four
            degrees of certainty.
        kind: "mono" (one crystal), "poly" (many crystals) or "all".
        transform: turns a picture into a tensor, usually `backbone.transform`.
    """
    rows = _rows(task, kind)
    labels = [_label(probability, task) for _, _, probability in rows]
    name = f"solar_cells ({task}, {kind})"
    return ImageFiles([file for _, file, _ in rows], labels, TASKS[task], transform, name)


def solar_modules(task: str = "certain", kind: str = "all") -> Tensor:
    """Return the module of each cell of `solar_cells`, for the groups of `split`; shape (N,).

    They are inferred from the order of the files: see the top of this file.
    """
    module = torch.repeat_interleave(torch.tensor(MODULES))
    return module[[position for position, _, _ in _rows(task, kind)]]


def _rows(task: str, kind: str) -> list[tuple[int, Path, float]]:
    """Return position, file and probability of a defect of each cell that is asked for."""
    if task not in TASKS:
        raise InputError(f"solar_cells: task={task!r}; expected one of {', '.join(TASKS)}.")
    if kind not in KINDS:
        raise InputError(f"solar_cells: kind={kind!r}; expected one of {', '.join(KINDS)}.")
    labels = cards("solar_cells")[0].file()
    lines = [line.split() for line in labels.read_text(encoding="utf-8").splitlines()]
    if len(lines) != sum(MODULES):
        raise InputError(
            f"{labels} has {len(lines)} lines; expected {sum(MODULES)}. "
            "Type: pip install elpv-dataset==1.0.0.post1"
        )
    rows = [(i, labels.parent / file, float(p), k) for i, (file, p, k) in enumerate(lines)]
    return [
        (i, file, p)
        for i, file, p, cell_kind in rows
        if kind in ("all", cell_kind) and (task != "certain" or p in (FUNCTIONAL, DEFECTIVE))
    ]


def _label(probability: float, task: str) -> int:
    if task == "degree":
        return min(range(4), key=lambda degree: abs(DEGREES[degree] - probability))
    return int(probability > 0.5)
