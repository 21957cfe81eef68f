"""A real chapter from file to points, as `transferlab class mark --unsafe` runs it."""

from pathlib import Path

import pytest

from transferlab.kit.classroom.edition import read_edition
from transferlab.kit.classroom.judging import Reference
from transferlab.kit.classroom.marking import mark_submission
from transferlab.kit.classroom.sandbox import Limits, find_sandbox

ROOT = Path(__file__).parents[2]
CHAPTER = "02_concepts"


@pytest.mark.parametrize(("folder", "points"), [("solutions", 20.0), ("course", 0.0)])
def test_the_solved_edition_gets_all_points_and_the_released_one_none(folder, points):
    edition = read_edition(ROOT / "course", ROOT / "solutions", CHAPTER)
    content = (ROOT / folder / CHAPTER / "exercises.ipynb").read_bytes()
    found = mark_submission(content, Reference(edition), find_sandbox(unsafe=True), Limits())
    assert (found.status, found.points) == ("graded", points), found
    assert found.notes == found.flags == ()
    is_solved = folder == "solutions"
    expected = {"passed", "waiting"} if is_solved else {"not answered"}
    assert {check.status for check in found.checks} == expected
    assert sum(check.worth for check in found.checks if check.points is None) == 3 * is_solved
