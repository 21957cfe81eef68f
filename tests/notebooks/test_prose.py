"""Claims and prose say the same: how many claims, their margins, and the words that point to them.

A sentence points to a row of the claims table by its number: "Fine-tuning wins (claim 1)."
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from claims import fresh_seed

from transferlab.claims import RECORD
from transferlab.kit.lessons import LESSONS
from transferlab.kit.notebooks import read_json, source_of
from transferlab.kit.report import claims as claims_in

COURSE = Path(__file__).parents[2] / "course"
FEWEST, MOST, MOST_FACTS = 3, 5, 3

WORDS = {
    "up": (
        "gain gains gained beat beats better best higher more faster sooner help helps win wins "
        "save saves improve improves raise raises ahead above grow grows larger rise rises"
    ),
    "down": (
        "lose loses lost worse worst lower less slower fewer fall falls fell drop drops hurt hurts "
        "harm harms behind below cost costs shrink shrinks smaller spoil spoils"
    ),
    "none": (
        "no difference|as good as|as well as|as much as|the same|equally|no better|no worse|"
        "not better|not worse|does not matter|costs? nothing|gains? nothing|adds? nothing|"
        "helps? neither|level with|does not help|does no harm|hardly matters"
    ),
    "open": "not shown|cannot tell|can't tell|does not show|unsettled|stays? open|too close",
}
PATTERNS = {
    kind: re.compile(rf"\b(?:{words if '|' in words else '|'.join(words.split())})\b", re.I)
    for kind, words in WORDS.items()
}
POINTER = re.compile(r"\bclaims? (\d+(?:(?:, | and | to )\d+)*)", re.I)

Claim = dict[str, Any]


def directions(text: str) -> set[str]:
    """Return which kinds of words a sentence has: "gains nothing" is none, and not up."""
    found = set()
    for kind in ("open", "none"):
        if PATTERNS[kind].search(text):
            found.add(kind)
            text = PATTERNS[kind].sub(" ", text)
    return found | {kind for kind in ("up", "down") if PATTERNS[kind].search(text)}


def expected(claim: Claim) -> str:
    """Return what a sentence about a claim must say: "difference", "none" or "open"."""
    if claim["kind"] == "question":
        answers = {"shown": "difference", "no difference": "none", "not shown": "open"}
        return answers[claim["verdict"]]
    if claim["verdict"] == "unsettled":
        return "open"
    return {"difference": "difference", "no difference": "none"}[claim["kind"]]


def contradicts(sentence: str, claim: Claim) -> bool:
    """Return whether a sentence says something else than the claim that it points to."""
    said, wanted = directions(sentence), expected(claim)
    if wanted == "difference":
        ways = said & {"up", "down"}
        named = directions(claim["name"]) & {"up", "down"}
        return not ways or "open" in said or bool(named and not ways & named)
    return wanted not in said


def sentences(markdown: str) -> Iterator[str]:
    """Return the sentences of a Markdown text that point to claims."""
    for line in markdown.splitlines():
        for sentence in re.split(r"(?<=[.!?:;]) +(?=[A-Z*`(\[])|(?<=[.!?]\))\s", line):
            if POINTER.search(sentence):
                yield sentence


def numbers_in(sentence: str) -> list[int]:
    """Return the numbers of the claims that a sentence points to."""
    found = []
    for pointer in POINTER.findall(sentence):
        numbers = [int(number) for number in re.findall(r"\d+", pointer)]
        found += range(numbers[0], numbers[-1] + 1) if " to " in pointer else numbers
    return found


def kept_claims(notebook: dict[str, Any]) -> list[Claim]:
    """Return the claims that are kept in a lesson, as the report reads them."""
    return claims_in([out for cell in notebook["cells"] for out in cell.get("outputs", [])])


def prose_faults(notebook: dict[str, Any]) -> Iterator[str]:
    """Return where a lesson's claims are too many, without a margin, or said differently."""
    claims = kept_claims(notebook)
    facts = [claim for claim in claims if claim["kind"] == "fact"]
    if not FEWEST <= len(claims) <= MOST:
        yield f"{len(claims)} claims, expected {FEWEST} to {MOST}"
    if len(facts) > MOST_FACTS or len(facts) == len(claims):
        yield f"{len(facts)} of the claims are facts; those belong to the tests"
    for claim in claims:
        if claim["kind"] != "fact" and not claim["margin"] > 0:
            yield f"no margin: {claim['name']}"
        elif claim["kind"] == "difference" and not directions(claim["name"]) & {"up", "down"}:
            yield f"a difference whose name says no direction: {claim['name']}"
        elif claim["kind"] == "no difference" and "none" not in directions(claim["name"]):
            yield f"no difference, and the name does not say so: {claim['name']}"
    texts = [source_of(cell) for cell in notebook["cells"] if cell["cell_type"] == "markdown"]
    pointers = [
        (number, sentence)
        for text in texts
        for sentence in sentences(text)
        for number in numbers_in(sentence)
    ]
    for number, sentence in pointers:
        if not 1 <= number <= len(claims):
            yield f"there is no claim {number}: {sentence}"
            continue
        claim = claims[number - 1]
        if claim["kind"] != "fact" and contradicts(sentence, claim):
            yield f"{sentence!r} contradicts claim {number}: {claim['name']}"
    for number, claim in enumerate(claims, start=1):
        if number not in [pointed for pointed, _ in pointers]:
            yield f"no sentence points to claim {number}: {claim['name']}"


LESSON_PATHS = {f"{path.parent.name}/{path.stem}": path for path in sorted(COURSE.glob(LESSONS))}


@pytest.mark.parametrize("name", LESSON_PATHS)
def test_prose_and_claims_agree(name: str) -> None:
    assert list(prose_faults(read_json(LESSON_PATHS[name]))) == []


def test_no_two_lessons_claim_the_same_sentence() -> None:
    """The record of fresh runs knows a claim by its sentence."""
    names = Counter(
        claim["name"] for path in LESSON_PATHS.values() for claim in kept_claims(read_json(path))
    )
    assert [name for name, count in names.items() if count > 1] == []


def test_the_record_of_fresh_runs_has_no_holes() -> None:
    """Every attempt with the newest code is kept: its seeds are the first ones, without a gap."""
    record = COURSE / RECORD
    if not record.is_file():
        pytest.skip("no fresh runs have been made yet: make claims")
    for name, attempts in json.loads(record.read_text(encoding="utf-8")).items():
        assert name in LESSON_PATHS
        for code in {attempt["code"] for attempt in attempts}:
            seeds = [attempt["seed"] for attempt in attempts if attempt["code"] == code]
            assert set(seeds) == {fresh_seed(code, number) for number in range(len(seeds))}


def test_the_glossary_leads_to_lessons_that_use_the_word() -> None:
    glossary = (COURSE / "GLOSSARY.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (.+?) \| .+ \| \[.+\]\((.+)\.ipynb\) \|$", glossary, re.MULTILINE)
    assert len(rows) > 50
    words = [word.lower() for word, _ in rows]
    assert words == sorted(set(words)), "the words are not in the order of the alphabet"
    for word, name in rows:
        cells = read_json(LESSON_PATHS[name])["cells"]
        text = " ".join(source_of(cell) for cell in cells if cell["cell_type"] == "markdown")
        assert word.lower() in text.lower(), f"{name} does not use {word!r}"


# ---- the checks above, tried on toys -------------------------------------------------------------

GAIN = {"name": "A beats B", "kind": "difference", "margin": 3, "verdict": "holds"}
LEVEL = {"name": "A is as good as B", "kind": "no difference", "margin": 3, "verdict": "holds"}
ASKED = {"name": "Is A better than C?", "kind": "question", "margin": 3, "verdict": "not shown"}


@pytest.mark.parametrize(
    ("sentence", "claim", "wrong"),
    [
        ("A wins by far (claim 1).", GAIN, False),
        ("A is worse than B (claim 1).", GAIN, True),
        ("A gains nothing over B (claim 1).", GAIN, True),
        ("Whether A helps stays open (claim 1).", GAIN, True),
        ("A and B did (claim 1).", GAIN, True),
        ("A is no better than B (claim 1).", LEVEL, False),
        ("A is better than B (claim 1).", LEVEL, True),
        ("Whether A beats C is not shown (claim 1).", ASKED, False),
        ("A beats C (claim 1).", ASKED, True),
        ("A beats C (claim 1).", {**ASKED, "verdict": "shown"}, False),
        ("A gains (claim 1).", {**GAIN, "verdict": "unsettled"}, True),
        ("That A gains is unsettled (claim 1).", {**GAIN, "verdict": "unsettled"}, False),
    ],
)
def test_a_sentence_that_says_something_else_is_found(sentence, claim, wrong) -> None:
    assert contradicts(sentence, claim) is wrong


def lesson_with(claims: list[Claim], text: str) -> dict[str, Any]:
    table = {"output_type": "display_data", "metadata": {"transferlab_claims": claims}}
    code = {"cell_type": "code", "source": "claims.show()", "outputs": [table]}
    return {"cells": [code, {"cell_type": "markdown", "source": text}]}


def test_a_good_lesson_has_no_faults() -> None:
    text = "A wins (claim 1), and A is no worse than B (claim 2). A over C? Not shown (claim 3)."
    assert list(prose_faults(lesson_with([GAIN, LEVEL, ASKED], text))) == []


@pytest.mark.parametrize(
    ("claims", "text", "fault"),
    [
        ([GAIN], "A wins (claim 1).", "1 claims, expected 3 to 5"),
        ([GAIN, LEVEL, {**ASKED, "margin": 0}], "", "no margin: Is A better than C?"),
        ([{**GAIN, "name": "A − B"}, LEVEL, ASKED], "", "whose name says no direction: A − B"),
        ([GAIN, {**LEVEL, "name": "A beats B"}, ASKED], "", "and the name does not say so"),
        ([GAIN, LEVEL, ASKED], "A wins (claims 1 and 4).", "there is no claim 4"),
        ([GAIN, LEVEL, ASKED], "A wins (claim 1).", "no sentence points to claim 2"),
        ([GAIN, LEVEL, ASKED], "A loses (claim 1).", "contradicts claim 1: A beats B"),
        ([{**GAIN, "kind": "fact"}] * 4, "", "4 of the claims are facts"),
    ],
)
def test_a_spoiled_lesson_is_found_out(claims, text, fault) -> None:
    found = list(prose_faults(lesson_with(claims, text)))
    assert [sentence for sentence in found if fault in sentence], found
