"""Copies are found under other names; what was released, or what all have written, is no copy."""

from typing import Any

import pytest
from toy_class import CHAPTER, STUDENTS, content, named

from transferlab.kit.classroom.collect import collect
from transferlab.kit.classroom.edition import Edition
from transferlab.kit.classroom.records import Records
from transferlab.kit.classroom.similar import Pair, most_of, similar

OWN = """def halve(n):
    low, high = 0.0, float(n)
    for _ in range(200):
        middle = (low + high) / 2
        if middle + middle < n:
            low = middle
        else:
            high = middle
    return high"""
RENAMED = """def halve(number):
    # I have found this myself
    a, b = 0.0, float(number)
    for step in range(200):

        c = (a + b) / 2
        if c + c < number: a = c
        else: b = c
    return b  # done"""
OTHER = """def halve(n):
    digits = [int(sign) for sign in str(n)]
    rest, found = 0, []
    while digits:
        rest, here = divmod(10 * rest + digits.pop(0), 2)
        found.append(str(rest))
        rest = here
    return float("".join(found)) + rest / 2"""


@pytest.fixture
def alike(records: Records, edition: Edition, solved: dict[str, Any], tmp_path):
    """Return a function that hands in answers to one exercise, one a student, and compares."""

    def run(*answers: str | bytes) -> list[Pair]:
        for student, answer in zip(STUDENTS, answers, strict=False):
            path = tmp_path / "in" / student.id / "exercises.ipynb"
            path.parent.mkdir(parents=True)
            if isinstance(answer, str):
                named(solved, "halve")["source"] = answer
                answer = content(solved)
            path.write_bytes(answer)
        collect(records, CHAPTER, tmp_path / "in", edition.grade_ids)
        return similar(records, edition)[0]

    return run


def test_a_copy_under_other_names_is_found(alike):
    (pair,) = alike(OWN, OTHER, RENAMED)
    assert {pair.one.id, pair.other.id} == {"s1", "s3"}
    assert pair.exercises == ("halve",)
    assert pair.shared == pair.of > 5


def test_answers_of_their_own_are_not(alike):
    assert alike(OWN, OTHER) == []


def test_what_all_have_written_says_nothing(alike):
    assert alike(OWN, OWN + "  # 2", RENAMED) == []


def test_what_many_share_is_named_when_no_pair_is_left(house, command, solved):
    named(solved, "halve")["source"] = OWN
    for student in ("s1", "s2", "s3"):
        (house / "in" / student).mkdir(parents=True)
        (house / "in" / student / "exercises.ipynb").write_bytes(content(solved))
    command("init", "physics", "--roster", "roster.csv")
    command("collect", CHAPTER, "in")
    assert command("similar", CHAPTER)[:2] == (
        0,
        "No pair is alike, apart from what more than 2 students have in common "
        "(a group of 3 or more does not show).\n",
    )
    assert [most_of(count) for count in (0, 7, 29, 40)] == [2, 2, 2, 4]


def test_what_cannot_be_read_stops_nothing(alike):
    assert len(alike(OWN, b"{", RENAMED)) == 1
