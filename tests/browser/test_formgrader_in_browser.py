"""A teacher marks a written answer in nbgrader's formgrader; the points stay."""

import json
import sys
from pathlib import Path

import pytest
from browsing import CHROMIUM, NO_CHROMIUM, browser, jupyterlab

sys.path.append(str(Path(__file__).parents[1] / "classroom"))
from toy_class import CHAPTER, STUDENTS, Here, Limits, content, named, write_house

pytest.importorskip("playwright.sync_api", reason="needs playwright, of the extra test")
from transferlab.kit.classroom.collect import collect
from transferlab.kit.classroom.edition import read_edition
from transferlab.kit.classroom.formgrader import read_course, write_course
from transferlab.kit.classroom.marking import mark_class
from transferlab.kit.classroom.records import Records
from transferlab.kit.classroom.status import standings

EVIL = "<script>document.title = 'owned'</script><img src=x onerror=\"document.title='owned'\">"


@pytest.mark.skipif(CHROMIUM is None, reason=NO_CHROMIUM)
def test_a_mark_that_was_given_in_formgrader_stays(tmp_path):
    write_house(tmp_path)
    edition = read_edition(tmp_path / "course", tmp_path / "solutions", CHAPTER)
    notebook = json.loads((tmp_path / "course" / CHAPTER / "exercises.ipynb").read_text())
    named(notebook, "why")["source"] = EVIL
    (tmp_path / "in/s1").mkdir(parents=True)
    (tmp_path / "in/s1/exercises.ipynb").write_bytes(content(notebook))
    (tmp_path / "class").mkdir()
    with Records(tmp_path / "class", may_create=True) as records:
        records.add_students(STUDENTS)
        collect(records, CHAPTER, tmp_path / "in", edition.grade_ids)
        mark_class(records, edition, Here(), Limits())
        write_course(records, edition, folder := tmp_path / "forms")
        mark_in(folder, tmp_path / "settings")
        records.add_decisions(read_course(records, edition, folder))
        mark_class(records, edition, Here(), Limits())
        check = standings(records, CHAPTER)[0].marking.checks[-1]
    assert (check.status, check.points, check.comment) == ("by hand", 0.5, "Which labels?")


def mark_in(folder: Path, settings: Path) -> None:
    """Open the only submission, give half a point and a comment, as a teacher does."""
    with jupyterlab(folder, settings) as (address, token), browser() as opened:
        page = opened.new_page()
        page.set_default_timeout(60_000)
        page.goto(f"{address}/lab?token={token}")  # it sets a cookie, which formgrader needs
        page.goto(f"{address}/formgrader/gradebook/{CHAPTER}/exercises")
        page.get_by_role("link", name="Submission #1").click()
        page.wait_for_selector("input.score")
        assert EVIL in page.inner_text("body"), "the answer is shown letter by letter"
        assert page.title() != "owned"
        box = page.locator("input.score#why")
        box.fill("0.5")
        page.locator("textarea#why-comment").fill("Which labels?")
        with page.expect_response(lambda answer: "/api/comment/" in answer.url):
            page.locator("textarea#why-comment").blur()
        page.wait_for_timeout(500)
