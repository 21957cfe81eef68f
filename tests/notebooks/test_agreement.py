"""Lessons that measure the same thing agree: their kept intervals overlap.

`course/baselines.json` says for each setting where its number stands, in which lesson and after
which words of the kept output. The numbers themselves are read from the lessons.
"""

import json
import re
from itertools import combinations
from pathlib import Path

import pytest

from transferlab.kit.notebooks import read_json

COURSE = Path(__file__).parents[2] / "course"
BASELINES = json.loads((COURSE / "baselines.json").read_text(encoding="utf-8"))
INTERVAL = re.compile(r"(-?[\d.]+) \[(-?[\d.]+), (-?[\d.]+)\]")


def printed(lesson: str) -> str:
    """Return all that a lesson has printed."""
    cells = read_json(COURSE / f"{lesson}.ipynb")["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    return "\n".join("".join(output["text"]) for output in outputs if "text" in output)


def interval_in(text: str, where: str) -> tuple[float, float]:
    """Return the ends of the first interval that stands there."""
    found = re.search(where, text, re.MULTILINE)
    assert found, f"{where!r} is not there"
    _, low, high = map(float, INTERVAL.fullmatch(found[1]).groups())
    return low, high


@pytest.mark.parametrize("setting", BASELINES)
def test_lessons_agree(setting: str) -> None:
    places = BASELINES[setting]
    assert len(places) > 1
    ends = {lesson: interval_in(printed(lesson), where) for lesson, where in places.items()}
    apart = [
        f"{one} {ends[one]}, {other} {ends[other]}"
        for one, other in combinations(ends, 2)
        if ends[one][1] < ends[other][0] or ends[other][1] < ends[one][0]
    ]
    assert not apart, apart


def test_it_would_see_a_contradiction() -> None:
    assert interval_in("a  84.1 [83.2, 84.9]  3", r"^a +(.*\])") == (83.2, 84.9)
    with pytest.raises(AssertionError, match="is not there"):
        interval_in("b  84.1 [83.2, 84.9]", r"^a +(.*\])")
