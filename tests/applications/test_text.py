"""Docstrings: English, balanced, told apart by their topic, without copies of each other."""

import argparse
import ast
import math
import random
import re
import shutil
import statistics
import typing
import unicodedata
from collections import Counter
from pathlib import Path

import pytest
import torch
from sklearn.linear_model import LogisticRegression

from transferlab import InputError
from transferlab.applications.text import (
    BLAME,
    CLAUSES,
    NAMES,
    NOT,
    PRAISE,
    SUBJECTS,
    Texts,
    _balanced,
    _collect,
    _modules,
    _passages,
    docstrings,
    encode,
    film_reviews,
    passages_of,
    reviews,
    runs,
    tokens,
    unlabelled_docstrings,
    vocabulary,
)
from transferlab.data import few_shot
from transferlab.data.sets import real
from transferlab.data.sets.cards import Card, cards, package_folder
from transferlab.models.transformer import MASK, PADDING, UNKNOWN

SOURCE = '''
"""Tools that turn one thing into some other thing of use."""

def turn(x):
    """Turn a thing into *another* one, as :func:`~pack.age.turns` does it [1]_, [2]_.

    Parameters
    ----------
    x : array_like
        The thing which is to be turned into
        some other ``thing``, if it can be.
    unused : str

    Notes
    -----
    The same words, over and over again, until the end is near.
    It costs 12 * n ** 2 operations and is therefore not a sentence.
    too small a start makes this one no sentence either, you see.
    Short ones are out.

    This passage says how NumPy does it, which would be telling.

    >>> turn("the words of an example are not a sentence of English.")
    """
'''


def test_passages_are_sentences_without_markup_code_and_names():
    assert list(passages_of(SOURCE)) == [
        "Tools that turn one thing into some other thing of use.",
        "Turn a thing into another one, as pack.age.turns does it.",
        "The thing which is to be turned into some other thing, if it can be.",
    ]


@pytest.mark.parametrize("module", [argparse, statistics, typing])
def test_passages_are_from_docstrings(module):
    """What the regular expression finds, `ast` finds too, up to a few strings of code."""
    source = Path(module.__file__).read_text("utf-8")
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    found = [ast.get_docstring(n) for n in ast.walk(ast.parse(source)) if isinstance(n, documented)]
    ours = set(passages_of(source))
    theirs = set(passages_of("\n".join(f'"""{text}"""' for text in found if text)))
    assert len(ours - theirs) <= 0.05 * len(ours)
    assert len(theirs - ours) <= 0.2 * len(theirs)  # docstrings in other quotes


def test_classes_sizes_and_what_a_passage_is():
    train, test = docstrings(), docstrings("test")
    assert train.classes == test.classes == [card.name for card in cards("docstrings")]
    assert not train.missing
    assert len(train) + len(test) >= 5000
    for data in (train, test):
        counts = data.y.bincount()
        assert len(data.texts) == len(data.y) and (counts == counts[0]).all()
        for text in data.texts:
            assert 8 <= len(text.split()) <= 60 and text[-1] in ".?!"
            assert not NAMES.search(text)
    assert repr(test) == f"docstrings: {len(test):,} texts, 7 classes"


def test_no_two_passages_share_eight_words_in_a_row():
    train, test = docstrings(), docstrings("test")
    counts = Counter(run for text in train.texts + test.texts for run in runs(text))
    assert max(counts.values()) == 1


def test_a_random_split_of_all_passages_would_leak():
    """The naive way: every passage of every module, shuffled, cut in two."""
    folder = package_folder("sklearn")
    modules = _modules(folder)[:60]
    texts = [text for m in modules for text in passages_of((folder / m).read_text("utf-8"))]
    random.Random(0).shuffle(texts)
    cut = int(0.8 * len(texts))
    seen = set().union(*map(runs, texts[:cut]))
    leaked = sum(not seen.isdisjoint(runs(text)) for text in texts[cut:])
    assert leaked > 0.2 * (len(texts) - cut)


def test_fewer_per_class_are_a_subset_of_more():
    small, large = docstrings(per_class=20), docstrings(per_class=50)
    assert small.y.bincount().tolist() == [20] * 7
    assert small.texts[:20] == large.texts[:20]
    assert small.texts[20:40] == large.texts[50:70]


def test_the_place_of_a_package_does_not_matter(tmp_path):
    original = package_folder("python") / "json"
    shutil.copytree(original, tmp_path / "elsewhere" / "json")
    found = [_collect(folder, "train", set()) for folder in (original, tmp_path / "elsewhere/json")]
    assert found[0] == found[1] != []


def test_tests_and_copied_code_are_not_read(tmp_path):
    for name in ("good.py", "tests/bad.py", "externals/bad.py", "deep/site-packages/bad.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(SOURCE)
    assert _modules(tmp_path) == ["good.py"]


def test_there_are_five_thousand_passages_and_reading_them_again_gives_the_same():
    again = _passages.__wrapped__(cards("docstrings"))  # without the cache
    assert again == _passages(cards("docstrings"))
    assert sum(len(texts) for parts in again.values() for texts in parts.values()) >= 5000


def test_missing_packages_are_named():
    absent = Card("absent", "no_such_package", "", "", "", "")
    found = _passages((absent,)) | {
        name: {"train": ["One."] * 3, "test": []} for name in ("a", "b")
    }
    data = _balanced(found, "train", None)
    assert data.classes == ["a", "b"] and data.missing == ["absent"]
    assert repr(data) == "docstrings: 6 texts, 2 classes (not installed: absent)"
    with pytest.raises(InputError, match="absent, a, b cannot be read here; expected two packages"):
        _balanced(found, "test", None)


def test_the_words_reveal_the_topic_but_not_always():
    """A bag of words on modules that it never saw: far from chance (14 %), far from all."""
    train, test = docstrings(per_class=200), docstrings("test")
    words = vocabulary(train.texts, 1000)

    def bag(texts: Texts) -> torch.Tensor:
        x = encode(texts, words).x
        return torch.zeros(len(x), len(words)).scatter_(1, x, 1.0)[:, 3:]

    model = LogisticRegression(max_iter=300).fit(bag(train), train.y)
    assert 0.35 < model.score(bag(test), test.y) < 0.75


def texts(*passages: str) -> Texts:
    return Texts(list(passages), torch.arange(len(passages)), list("abc"), "texts", [])


def test_a_vocabulary_by_hand():
    words = vocabulary(["To be, or not to be.", "Not to 2 be!"], size=8)
    assert words[:3] == ["<padding>", "<unknown>", "<mask>"]
    # be 3, to 3, not 2, then one each: ! , . or
    assert words[3:] == ["be", "to", "not", "!", ","]
    assert vocabulary(["a b"], size=100) == [*words[:3], "a", "b"]


def test_encoding_by_hand():
    words = ["<padding>", "<unknown>", "<mask>", "be", "to", "not", ","]
    data = encode(texts("To be, or not to be.", "Not!", "? be ?"), words, length=5)
    assert data.x.tolist() == [[4, 3, 6, 1, 5], [5, 1, 0, 0, 0], [1, 3, 1, 0, 0]]
    assert data.x.dtype == torch.int64 and data.y.tolist() == [0, 1, 2]
    assert (PADDING, UNKNOWN, MASK) == (0, 1, 2)


def test_the_training_vocabulary_covers_the_test_texts():
    train, test = docstrings(), docstrings("test")
    words = vocabulary(train.texts)
    assert len(words) == len(set(words)) == 4096
    share = {}
    for name, data in (("train", train), ("test", test)):
        x = encode(data, words).x
        assert x.max() < 4096 and not (x == MASK).any()
        assert ((x[:, 1:] != PADDING) <= (x[:, :-1] != PADDING)).all()  # padding only at the end
        share[name] = ((x == UNKNOWN).sum() / (x != PADDING).sum()).item()
    assert share["train"] < 0.04 and share["test"] < 0.1


def test_few_labels_can_be_drawn_from_encoded_texts():
    train = docstrings(per_class=30)
    few = few_shot(encode(train, vocabulary(train.texts)), 5)
    assert few.x.shape == (35, 64) and few.classes == train.classes


def test_bad_arguments_are_refused():
    with pytest.raises(InputError, match="part='val' is unknown; expected 'train' or 'test'"):
        docstrings("val")
    with pytest.raises(InputError, match=r"per_class=0; expected 1 to \d+ in part='test'"):
        docstrings("test", per_class=0)
    with pytest.raises(InputError, match="per_class=100000; expected 1 to"):
        docstrings(per_class=100_000)
    with pytest.raises(InputError, match="size=3; expected at least 4"):
        vocabulary(["a"], size=3)
    with pytest.raises(InputError, match=r"words begin with \['a'\]; expected \['<padding>'"):
        encode(texts("a"), ["a"])
    with pytest.raises(InputError, match="length=0; expected at least 1"):
        encode(texts("a"), vocabulary(["a"]), length=0)


def test_texts_for_pre_training_are_many_and_none_is_near_the_test():
    many = unlabelled_docstrings()
    assert len(many) > len(docstrings("train"))
    assert not many.y.any() and many.classes == ["unlabelled"]
    assert len(set(many.texts)) == len(many)
    unseen = {run for text in docstrings("test").texts for run in runs(text)}
    assert all(unseen.isdisjoint(runs(text)) for text in many.texts)


# ---- texts of one's own, in any language ---------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("To be, or NOT to be?!", "to be , or not to be ? !"),
        ("don't, e-mail_a3b: 5% of x2", "don t , e mail a b : of x"),  # as ever in plain English
        ("don’t … “x”", "don t . . . x"),
        ("café cafe\u0301 CAFÉ", "café café café"),  # one accent, written in two ways
        ("Straße ﬁne ＡＢＣ！", "strasse fine abc !"),
        ("Привет, Мир!", "привет , мир !"),
        ("ΛΌΓΟΣ λόγος", "λόγοσ λόγοσ"),
        ("हिन्दी में पढ़ना।", "हिन्दी में पढ़ना ।"),
        ("কেমন আছেন", "কেমন আছেন"),
        ("مرحبا، كيف؟", "مرحبا ، كيف ؟"),
        ("می\u200cشود", "میشود"),  # an invisible character inside a word
        ("שָׁלוֹם", "שָׁלוֹם"),
        ("한국어 좋아요", "한국어 좋아요"),
        ("今日は。", "今 日 は 。"),
        ("ぴザＡ", "ぴ ザ a"),
        ("ดีมาก", "ดี ม า ก"),
        ("ok好ok", "ok 好 ok"),
        ("😀 12 ٣٤ ½ №", "no"),  # № is No by NFKC; digits and signs are dropped
        ("", ""),
    ],
)
def test_words_of_many_scripts(text, found):
    expected = unicodedata.normalize("NFKC", found).split()
    assert tokens(text) == expected


def test_another_script_gives_the_same_numbers():
    """Reviews with other letters, in the same order: the naive [a-z]+ finds full stops only."""
    train, test = reviews(300), reviews(100, seed=1)
    for first in ("а", "가", "ა"):  # Cyrillic, Hangul, Georgian
        other = str.maketrans({chr(ord("a") + i): chr(ord(first) + i) for i in range(26)})
        words = vocabulary([text.translate(other) for text in train.texts])
        translated = Texts([text.translate(other) for text in test.texts], test.y, test.classes)
        x = encode(translated, words, 24).x
        assert torch.equal(x, encode(test, vocabulary(train.texts), 24).x)


def test_another_tokenizer():
    found = Texts(["ab", "ba"], [0, 1], ["x", "y"])
    words = vocabulary(found.texts, tokenize=list)
    assert words[3:] == ["a", "b"]
    assert encode(found, words, 3, tokenize=list).x.tolist() == [[3, 4, 0], [4, 3, 0]]
    for wrong in (str.lower, "words", len, lambda text: [1], lambda text: None):
        with pytest.raises(InputError, match="expected a function that returns a list of texts"):
            vocabulary(found.texts, tokenize=wrong)


def test_more_than_one_text_in_twenty_without_a_known_word_is_refused():
    words = vocabulary(["good", "bad"])
    one = Texts(["Good!"] * 19 + ["добрый!"], torch.arange(20) % 2, ["no", "yes"], "hotels")
    assert encode(one, [*words, "!"]).x[19, :3].tolist() == [1, 5, 0]  # a mark is not a word
    two = Texts(["good"] * 18 + ["12", "добрый"], torch.arange(20) % 2, ["no", "yes"], "hotels")
    with pytest.raises(InputError, match=r"hotels: 2 of 20 texts hold no word .* 18, '12'; .* 5%"):
        encode(two, words)
    with pytest.raises(InputError, match="1 of 1 texts hold no word of the vocabulary"):
        encode(Texts(["добрый!"], [0], ["no"]), [*words, "!"])  # "!" is known, but no word


def test_texts_of_ones_own():
    own = Texts(("Good.", "Bad."), [1, 0], ("bad", "good"))
    assert own.texts == ["Good.", "Bad."] and own.y.tolist() == [1, 0]
    assert repr(own) == "texts: 2 texts, 2 classes"
    assert encode(own, vocabulary(own.texts)).y.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("one text", [0], ["a"]), "texts: found one str; expected a list of texts"),
        ((["x", None], [0, 0], ["a"]), "texts: text 1 is None; expected a str"),
        ((["x", math.nan], [0, 0], ["a"]), "texts: text 1 is nan; expected a str"),
        ((["x", 3], [0, 0], ["a"]), "texts: text 1 is 3; expected a str"),
        ((["x", b"y"], [0, 0], ["a"]), "texts: text 1 is b'y'; expected a str"),
        ((["x", "y"], [0], ["a"]), r"expected one label per sample, shape \(2,\)"),
        ((["x", "y"], [0, 2], ["a", "b"]), "label 2 at sample 1 is out of range"),
        ((["x", "y"], [0, -1], ["a", "b"]), "label -1 at sample 1 is out of range"),
        ((["x", "y"], [0.0, 1.0], ["a", "b"]), "labels must be integers"),
        ((["x", "y"], ["a", "b"], ["a", "b"]), r"y is \['a', 'b'\]; expected integers, each the n"),
        ((["x", "y"], None, ["a", "b"]), "y is None; expected integers"),
        (([], [], ["a"]), "texts: the data set is empty"),
        ((["x", "y"], [0, 5], ["a"], "mine"), "mine: label 5 at sample 1"),
    ],
)
def test_texts_that_cannot_be_used(arguments, sentence):
    with pytest.raises(InputError, match=sentence):
        Texts(*arguments)


def test_a_vocabulary_is_of_a_list_of_texts():
    own = texts("a", "b", "c")
    for wrong, found in (
        ("one text", "one str"),
        (own, "one Texts"),
        (["a", None], "text 1 is No"),
    ):
        with pytest.raises(InputError, match=f"vocabulary: .*{found}"):
            vocabulary(wrong)


# ---- film reviews --------------------------------------------------------------------------------

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


def test_bad_reviews_are_refused():
    with pytest.raises(InputError, match="n=0"):
        reviews(0)
    with pytest.raises(InputError, match="negated=2"):
        reviews(10, negated=2)


def test_film_reviews_by_hand(monkeypatch, tmp_path):
    (tmp_path / "text").mkdir()
    monkeypatch.setenv("TRANSFERLAB_DATA", str(tmp_path))
    assert not real.present()["rt_polarity"]
    for ending, word in (("neg", "dull"), ("pos", "fine")):
        lines = "".join(f"{word} {i} .\n" for i in range(7))
        (tmp_path / "text" / f"rt-polarity.{ending}").write_text(lines, encoding="utf-8")
    assert real.present()["rt_polarity"]
    train, test = film_reviews(), film_reviews("test")
    assert test.texts == ["dull 0 .", "dull 5 .", "fine 0 .", "fine 5 ."]
    assert test.y.tolist() == [0, 0, 1, 1] and test.classes == ["negative", "positive"]
    assert len(train) == 10 and not set(train.texts) & set(test.texts)
    (tmp_path / "text" / "rt-polarity.pos").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match=r"rt-polarity\.pos is missing or not UTF-8"):
        film_reviews()


def test_absent_film_reviews_name_the_folder(monkeypatch):
    monkeypatch.delenv("TRANSFERLAB_DATA", raising=False)
    with pytest.raises(InputError, match=r"'rt_polarity'.*a folder that holds text/"):
        film_reviews()


def test_real_film_reviews(shared_data, monkeypatch):
    monkeypatch.setenv("TRANSFERLAB_DATA", str(shared_data))
    train, test = film_reviews(), film_reviews("test")
    assert len(train) + len(test) == 10_662
    assert test.y.bincount().tolist() == [1067, 1067]
    assert not [text for text in train.texts if not text.strip()]
