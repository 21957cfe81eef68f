"""What a lesson claims: margins, verdicts, fresh runs, and seeds that nobody can pick."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import nbformat
import numpy as np
import pytest
from claims import fresh_seed
from kit.toy_course import write_lesson

from transferlab import InputError
from transferlab.claims import COURSE, RECORD, code_hash
from transferlab.lesson import FRESH, Claims, Run
from transferlab.plots.widgets import Bet

UP = [3.0, 4.0, 5.0, 4.0, 3.5]  # 3.9 [3.0, 4.8]
UNSURE = [3.0, -4.0, 5.0, -2.0, 1.0]
LEVEL = [0.2, -0.1, 0.1, -0.3, 0.0]
REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def no_record(monkeypatch, tmp_path):
    """Keep the course's own record, and a run that asserts nothing, out of these tests."""
    monkeypatch.setenv(COURSE, str(tmp_path))
    monkeypatch.delenv(FRESH, raising=False)


def claims(profile: str = "class") -> Claims:
    return Claims(Run(profile, "cpu", 0))


# ---- verdicts ------------------------------------------------------------------------------------


def test_claims_that_hold_are_shown_with_their_numbers():
    found = claims()
    found.positive("pre-training helps", UP, "points", margin=3)
    found.no_difference("the seed does not matter", LEVEL, "points", margin=1)
    found.fact("the frozen weights did not move", True)
    text = repr(found.show())
    for part in ("1", "pre-training helps", "3.9 [3.0, 4.8] points", "≥ 3", "± 1", "holds"):
        assert part in text
    assert "does not" not in text.replace("does not matter", "")


@pytest.mark.parametrize(
    ("values", "margin"),
    [(UNSURE, 0), ([-v for v in UP], 0), ([0.0, 0.0, 0.0], 0), (UP, 3.95)],
    ids=["unsure", "the wrong way", "nothing", "too small to matter"],
)
def test_a_difference_that_is_not_shown_raises_in_class(values, margin):
    found = claims()
    found.positive("it helps", values, "points", margin=margin)
    with pytest.raises(AssertionError, match=r"not shown by this run: it helps: -?\d+\.\d \["):
        found.show()


def test_the_mean_alone_proves_nothing():
    found = claims()
    assert np.mean(UNSURE) > 0.5  # the naive test would pass
    found.positive("it helps", UNSURE, margin=0.5)
    assert not found.claims[0].holds


@pytest.mark.parametrize(
    ("values", "holds"),
    [(LEVEL, True), (UP, False), ([-v for v in UP], False), (UNSURE, False)],
    ids=["level", "better", "worse", "unsure"],
)
def test_no_difference_looks_at_both_sides(values, holds):
    """Five points worse is a difference; a limit on one side would have let it pass."""
    found = claims()
    found.no_difference("it does not matter", values, "points", margin=3)
    assert found.claims[0].holds is holds


@pytest.mark.parametrize("profile", ["smoke", "full"])
def test_other_profiles_show_and_do_not_raise(profile):
    found = claims(profile)
    found.positive("it helps", UNSURE, margin=1)
    found.fact("the earth is flat", False)
    assert repr(found.show()).count("does not hold") == 2


@pytest.mark.parametrize(
    ("values", "answer"), [(UP, "shown"), (LEVEL, "no difference"), (UNSURE, "not shown")]
)
def test_a_question_gets_an_answer_and_asserts_nothing(values, answer):
    found = claims()
    found.question("does it help?", values, "points", margin=3)
    assert answer in repr(found.show())


def test_all_claims_that_fail_are_named():
    found = claims()
    found.fact("one", False)
    found.fact("two", True)
    found.fact("three", False)
    with pytest.raises(AssertionError, match=r"one.*three") as caught:
        found.show()
    assert "two" not in str(caught.value)


def test_one_run_is_no_evidence():
    with pytest.raises(InputError, match="at least 2 runs; found 1"):
        claims().positive("it helps", [5.0], margin=1)


def test_a_column_without_entries_is_left_out():
    found = claims()
    found.fact("the head is new", True)
    assert repr(found.show()).splitlines()[0].split() == ["claim", "verdict"]
    assert "mean [95 % interval]" in repr(claims().show())


def test_the_table_is_shown_by_jupyter_and_read_by_the_report():
    found = claims()
    found.positive("it helps", UP, "points", margin=2)
    found.fact("nothing leaked", True)
    data, metadata = found.show()._repr_mimebundle_()
    assert "<td style='text-align:left'>it helps</td>" in data["text/html"]
    first, second = metadata["transferlab_claims"]
    assert first["mean"] == pytest.approx(3.9) and first["verdict"] == "holds"
    assert first["low"] > 0 and first["unit"] == "points" and first["margin"] == 2
    assert second["mean"] is None and second["holds"] is True


# ---- bets ----------------------------------------------------------------------------------------


def test_the_table_shows_the_bet_beside_what_was_found():
    """It is read when the table is shown: the slider may move until then."""
    slider = SimpleNamespace(index=0, label="no bet yet")
    found = claims()
    found.positive("it helps", UP, "points", margin=2, bet=Bet(slider))
    found.no_difference("it does not matter", LEVEL, "points", margin=3, bet=Bet())
    found.question("does it help?", UP, "points", margin=3, bet=Bet(slider))
    table = found.show()
    assert "bet" not in repr(table)
    slider.index, slider.label = 63, "12 points"
    assert repr(table).splitlines()[0].split()[:3] == ["claim", "your", "bet"]
    assert "it helps            12 points  3.9 [3.0, 4.8] points" in repr(table)
    assert repr(table).count("12 points") == 2
    assert "<th>your bet</th>" in table._repr_mimebundle_()[0]["text/html"]


def test_without_a_bet_the_output_is_the_same():
    def shown(**bet) -> tuple:
        found = claims()
        found.positive("it helps", UP, "points", margin=2, **bet)
        return found.show()._repr_mimebundle_()

    assert shown(bet=Bet()) == shown()


# ---- fresh runs ----------------------------------------------------------------------------------


def write_record(course: Path, held: list[bool], code: str = "0") -> None:
    attempts = [{"code": code, "seed": 1, "claims": {"it helps": {"holds": h}}} for h in held]
    (course / RECORD).write_text(json.dumps({"01_a/01_toy": attempts}), encoding="utf-8")


def shown(values: list[float]) -> str:
    found = claims()
    found.positive("it helps", values, "points", margin=1)
    return repr(found.show())


def test_the_table_says_how_often_a_claim_held(tmp_path):
    write_record(tmp_path, [True] * 19 + [False])
    assert "19 of 20" in shown(UP)


def test_of_a_question_the_table_says_how_often_it_was_shown(tmp_path):
    write_record(tmp_path, [True] * 3 + [False])
    found = claims()
    found.question("it helps", UP, "points", margin=1)
    assert "shown in 3 of 4" in repr(found.show())
    assert "3 of 4" in shown(UP) and "shown in" not in shown(UP)


def test_a_lesson_that_changed_makes_its_record_stale(tmp_path):
    path = write_lesson(tmp_path, "01_a/01_toy", "x = 1")
    write_record(tmp_path, [True] * 10, code_hash(path))
    assert "10 of 10" in shown(UP) and "before a change" not in shown(UP)
    write_lesson(tmp_path, "01_a/01_toy", "x = 2")
    assert "10 of 10, before a change" in shown(UP)


def test_attempts_with_older_code_do_not_count(tmp_path):
    write_record(tmp_path, [False] * 10)
    record = json.loads((tmp_path / RECORD).read_text())
    record["01_a/01_toy"].append({"code": "1", "claims": {"it helps": {"holds": True}}})
    (tmp_path / RECORD).write_text(json.dumps(record))
    assert "1 of 1" in shown(UP)


def test_a_run_that_failed_counts_as_one_that_did_not_hold(tmp_path):
    write_record(tmp_path, [True] * 10)
    record = json.loads((tmp_path / RECORD).read_text())
    record["01_a/01_toy"].append({"code": "0", "seed": 2, "error": "KeyError", "claims": {}})
    (tmp_path / RECORD).write_text(json.dumps(record))
    assert "10 of 11" in shown(UP)


def test_what_held_too_rarely_is_unsettled_and_not_asserted(tmp_path):
    write_record(tmp_path, [True] * 8 + [False] * 2)
    assert "unsettled" in shown(UP) and "unsettled" in shown(UNSURE)
    write_record(tmp_path, [True] * 9 + [False])
    assert "holds" in shown(UP)
    with pytest.raises(AssertionError):
        shown(UNSURE)
    write_record(tmp_path, [False] * 3)  # too few runs to say so
    with pytest.raises(AssertionError):
        shown(UNSURE)


@pytest.mark.parametrize("text", ["{", "[]", '{"a": []}', '{"a": [{"code": "1"}]}', '{"a": 1}'])
def test_a_damaged_record_gets_a_sentence(tmp_path, text):
    (tmp_path / RECORD).write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"claims\.json is damaged"):
        shown(UP)


def test_text_outputs_parameters_and_cuts_do_not_change_the_hash(tmp_path):
    path = write_lesson(tmp_path, "01_a/01_toy", "x = 1\n\n\ny = 2")
    before = code_hash(path)
    notebook = nbformat.read(path, 4)
    notebook.cells[0].source = "# Another title"
    notebook.cells[1].source += "\nmore = 1"
    notebook.cells[2].outputs = [nbformat.v4.new_output("stream", text="an output")]
    notebook.cells[2].source = "x = 1"
    notebook.cells.insert(3, nbformat.v4.new_code_cell("y = 2"))
    nbformat.write(notebook, path)
    assert code_hash(path) == before
    notebook.cells[2].source = "x = 2"
    nbformat.write(notebook, path)
    assert code_hash(path) != before


TOY = """from transferlab import lesson
run = lesson.start(profile, device, seed)
claims = lesson.Claims(run)
claims.fact("the seed is not large", seed < 500_000)
claims.positive("one is more than nothing", [1.0, 1.1], "points", margin=1)
claims.show()"""


def make_claims(course: Path, *options: str) -> str:
    command = [sys.executable, REPOSITORY / "tests/claims.py", "--course", course, *options]
    done = subprocess.run(command, capture_output=True, text=True, cwd=course, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_make_claims_keeps_every_attempt_and_goes_on_where_it_ended(tmp_path):
    """Seeds come from the code, so they are known here; no attempt is left out or made twice."""
    path = write_lesson(tmp_path, "01_a/01_toy", TOY)
    assert "2 fresh runs to make" in make_claims(tmp_path, "--runs", "2")
    assert "1 fresh runs to make" in make_claims(tmp_path, "--runs", "3")
    attempts = json.loads((tmp_path / RECORD).read_text())["01_a/01_toy"]
    seeds = [fresh_seed(code_hash(path), number) for number in range(3)]
    assert sorted(attempt["seed"] for attempt in attempts) == sorted(seeds)
    for attempt in attempts:
        assert attempt["error"] == ""
        assert attempt["claims"]["the seed is not large"]["holds"] is (attempt["seed"] < 500_000)
        assert attempt["claims"]["one is more than nothing"]["mean"] == pytest.approx(1.05)
    small = sum(seed < 500_000 for seed in seeds)
    summary = make_claims(tmp_path, "--runs", "0")
    assert f"{small} of 3 runs held in full, {3 + small} of 6 rows held" in summary

    write_lesson(tmp_path, "01_a/01_toy", TOY + "\nmore = 1")  # other code, other seeds
    assert "0 of 0" in make_claims(tmp_path, "--runs", "0")
    assert len(json.loads((tmp_path / RECORD).read_text())["01_a/01_toy"]) == 3
