"""Generated reviews: one opinion each, the same for the same seed, and told by negation too."""

import re

import pytest
from transferlab.applications.reviews import BLAME, CLAUSES, NOT, PRAISE, SUBJECTS

from transferlab import InputError
from transferlab.applications.text import UNKNOWN
from transferlab.data import encode, reviews, vocabulary

CLAUSE = re.compile(r"the (\w+) is (?:(\w+) )?(\w+)(?=,| and|\.)")


def clauses(text: str) -> list[tuple[str, str, str]]:
    return CLAUSE.findall(text)


def test_every_clause_says_the_opinion():
    found = reviews(300, negated=0.3)
    assert found.classes == ["negative", "positive"]
    for text, label in zip(found.texts, found.y.tolist(), strict=True):
        parts = clauses(text)
        assert len(parts) == CLAUSES == len({subject for subject, _, _ in parts})
        for subject, negation, word in parts:
            assert subject in SUBJECTS and negation in ("", *NOT)
            assert (word in PRAISE) != (word in BLAME)
            assert (word in PRAISE) == (bool(label) != bool(negation))


@pytest.mark.parametrize("negated", [0, 0.3, 1])
def test_the_share_of_negations(negated):
    parts = [part for text in reviews(500, negated=negated).texts for part in clauses(text)]
    share = sum(bool(negation) for _, negation, _ in parts) / len(parts)
    assert share == pytest.approx(negated, abs=0.04)


def test_both_opinions_are_equally_frequent_and_no_word_is_in_both_lists():
    assert reviews(101).y.bincount().tolist() == [51, 50]
    assert not set(PRAISE) & set(BLAME)
    assert len(PRAISE) == len(BLAME)
    by_label = {0: [], 1: []}
    found = reviews(2000, negated=0)
    for text, label in zip(found.texts, found.y.tolist(), strict=True):
        by_label[label] += [word for _, _, word in clauses(text)]
    assert set(by_label[1]) == set(PRAISE) and set(by_label[0]) == set(BLAME)


def test_one_seed_one_draw():
    assert reviews(20, seed=1).texts == reviews(20, seed=1).texts
    assert reviews(20, seed=1).texts != reviews(20, seed=2).texts


def test_they_are_encoded_without_unknown_words():
    found = reviews(400)
    x = encode(found, vocabulary(found.texts), length=20).x
    assert not (x == UNKNOWN).any()
    assert (x[:, -1] == 0).all()  # no review is cut


def test_what_cannot_be_had():
    with pytest.raises(InputError, match="n=0"):
        reviews(0)
    with pytest.raises(InputError, match="negated=2"):
        reviews(10, negated=2)
