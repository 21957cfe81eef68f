"""Texts with labels: documentation of the installed packages, generated and real film reviews.

The documentation is read on demand; none of it is copied into this repository. Another version of a
package gives other passages, so results are comparable only within one installation.
"""

import functools
import hashlib
import inspect
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import torch
from torch import Tensor

from transferlab.data.dataset import MemoryDataset
from transferlab.data.places import real_folder
from transferlab.data.sets.cards import Card, cards, package_folder
from transferlab.errors import InputError
from transferlab.models.transformer import PADDING, SPECIAL, UNKNOWN

MOST = {"train": 800, "test": 200}  # passages per class
TEST_SHARE = 5  # one module in five is for testing
WORDS = (8, 60)  # the shortest and the longest passage
RUN = 8  # passages that share this many words in a row are near-copies

# Folders of tests, and of code that one package copied from another.
SKIPPED = {
    "_external",
    "_vendor",
    "array_api_compat",
    "array_api_extra",
    "dist-packages",
    "externals",
    "idlelib",
    "site-packages",
    "test",
    "testing",
    "tests",
}
# A regular expression finds docstrings fifty times faster than `ast`. Other triple-quoted strings
# are hardly ever plain English sentences, so the filters below drop them.
DOCSTRING = re.compile(r'"""(.+?)"""', re.DOTALL)
HEADING = re.compile(r"^.*\n[ \t]*([-=~^*])\1\1+[ \t]*$", re.MULTILINE)  # a line, underlined
ROLE = re.compile(r":[\w:]+:`~?([^`]*)`")  # :func:`~torch.abs`
MARKUP = re.compile(r"`+|\*+|,? ?\[\d+\]_?")
SENTENCE = re.compile(r"[A-Z][A-Za-z ,.;:?!()'\"-]+[.?!]")
# A passage that names a package would give its label away.
NAMES = re.compile(r"python|matplotlib|pyplot|numpy|scipy|scikit|skimage|sklearn|torch", re.I)
TOKEN = re.compile(r"[a-z]+|[.,;:?!]")  # of plain English, in lower case
MARKS = ".,;:?!。、।؟،؛"
# Scripts without spaces, by how the names of their characters begin: each character is a token.
SPACELESS = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN")
MOST_EMPTY = 0.05  # share of texts without a known word


@dataclass(frozen=True)
class Texts:
    """Passages of text with labels; your own too: Texts(["Good.", "Bad."], [1, 0], ["no", "yes"]).

    Attributes:
        texts: the passages, N strings.
        y: their labels, integers, shape (N,).
        classes: the name of each label, such as the package that the text is from.
        name: what the set is called in messages.
        missing: packages that are not installed, so that their class is left out.
    """

    texts: Sequence[str]
    y: Tensor
    classes: Sequence[str]
    name: str = "texts"
    missing: Sequence[str] = ()

    def __post_init__(self) -> None:
        texts = _checked(self.texts, self.name)
        try:
            y = torch.as_tensor(self.y)
        except (TypeError, ValueError, RuntimeError) as error:
            raise InputError(
                f"{self.name}: y is {self.y!r:.40}; expected integers, each the number of a name "
                "in classes."
            ) from error
        # Labels are checked as those of every data set.
        checked = MemoryDataset(torch.arange(len(texts)), y, self.classes, self.name)
        kept = {"texts": texts, "y": checked.y, "classes": checked.classes}
        for name, value in kept.items():
            object.__setattr__(self, name, value)  # the class is frozen

    def __len__(self) -> int:
        return len(self.texts)

    def __repr__(self) -> str:
        absent = f" (not installed: {', '.join(self.missing)})" if self.missing else ""
        return f"{self.name}: {len(self):,} texts, {len(self.classes)} classes{absent}"


def _checked(texts: Sequence[str], name: str) -> list[str]:
    if isinstance(texts, str | Texts):
        raise InputError(f"{name}: found one {type(texts).__name__}; expected a list of texts.")
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise InputError(f"{name}: text {i} is {text!r}; expected a str.")
    return list(texts)


def docstrings(part: str = "train", per_class: int | None = None) -> Texts:
    """Return passages of 8 to 60 words of documentation; the label is the package.

    Args:
        part: "train" or "test". One module in five is for testing, and a passage that shares
            eight words in a row with an earlier one is left out: no near-copy is in both parts.
        per_class: how many passages of every class. A smaller number gives a subset of what a
            larger one gives. None: as many as all classes have, at most 800 (for testing, 200).
    """
    if part not in MOST:
        raise InputError(f"docstrings: part={part!r} is unknown; expected 'train' or 'test'.")
    return _balanced(_passages(cards("docstrings")), part, per_class)


@functools.cache
def unlabelled_docstrings() -> Texts:
    """Return all passages of the modules that are not for testing, about 20,000, without labels.

    For pre-training: `docstrings` stops reading a package at 800 passages, to have as many of
    each. No passage shares eight words in a row with another one, nor with one of
    `docstrings("test")`. All have the label 0.
    """
    seen = {run for text in docstrings("test").texts for run in runs(text)}
    folders = [package_folder(card.package) for card in cards("docstrings")]
    texts = [
        text
        for folder in folders
        if folder is not None
        for text in _collect(folder, "train", seen, most=None)
    ]
    y = torch.zeros(len(texts), dtype=torch.int64)
    return Texts(texts, y, ["unlabelled"], "docstrings without labels", [])


def _balanced(passages: dict[str, dict[str, list[str]]], part: str, per_class: int | None) -> Texts:
    """Take the same number of passages of every package that has any."""
    texts = {package: parts[part] for package, parts in passages.items() if parts[part]}
    missing = [package for package in passages if package not in texts]
    if len(texts) < 2:
        raise InputError(
            f"docstrings: {', '.join(missing)} cannot be read here; expected two packages or more."
        )
    most = min(map(len, texts.values()))
    per_class = most if per_class is None else per_class
    if not 1 <= per_class <= most:
        raise InputError(
            f"docstrings: per_class={per_class}; expected 1 to {most} in part={part!r}."
        )
    return Texts(
        texts=[text for of_package in texts.values() for text in of_package[:per_class]],
        y=torch.arange(len(texts)).repeat_interleave(per_class),
        classes=list(texts),
        name="docstrings",
        missing=missing,
    )


@functools.cache
def _passages(packages: tuple[Card, ...]) -> dict[str, dict[str, list[str]]]:
    """Return the passages of every package and part: package → part → passages.

    No two of them share a run of words, whatever their packages and parts.
    """
    seen: set[tuple[str, ...]] = set()
    passages = {}
    for card in packages:
        folder = package_folder(card.package)
        passages[card.name] = {
            part: [] if folder is None else _collect(folder, part, seen, most)
            for part, most in MOST.items()
        }
    return passages


def _modules(folder: Path) -> list[str]:
    """Return the source files of a package, relative to it, in a reproducible order.

    Sorting by hash mixes the topics of a package, so that its first modules are representative.
    """
    files = []
    for place, inside, names in os.walk(folder):
        inside[:] = [name for name in inside if name not in SKIPPED]  # do not descend into these
        files += [Path(place, name) for name in names if name.endswith(".py")]
    return sorted((file.relative_to(folder).as_posix() for file in files), key=_hash)


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _collect(
    folder: Path, part: str, seen: set[tuple[str, ...]], most: int | None = None
) -> list[str]:
    """Read modules of one part until there are enough passages that share no run with `seen`."""
    texts: list[str] = []
    for module in _modules(folder):
        is_test = _hash(module)[-1] % TEST_SHARE == 0
        if is_test != (part == "test"):
            continue
        for text in passages_of((folder / module).read_text("utf-8", errors="replace")):
            if seen.isdisjoint(runs(text)):
                seen.update(runs(text))
                texts.append(text)
        if most is not None and len(texts) >= most:
            break
    # Sorted by hash, so that the first few are from many modules.
    return sorted(texts, key=_hash)[:most]


def passages_of(source: str) -> Iterator[str]:
    """Yield the plain English passages of a module's docstrings.

    A passage is a block of lines that are indented alike. Code, tables, formulas and headings are
    left out, as they do not look like sentences.
    """
    for docstring in DOCSTRING.findall(source):
        lines = HEADING.sub("\n", inspect.cleandoc(docstring)).splitlines()
        for indent, block in groupby(lines, key=_indent):
            if indent is None:  # blank lines
                continue
            text = " ".join(MARKUP.sub("", ROLE.sub(r"\1", " ".join(block))).split())
            length = len(text.split())
            is_sentence = WORDS[0] <= length <= WORDS[1] and SENTENCE.fullmatch(text)
            if is_sentence and not NAMES.search(text):
                yield text


def _indent(line: str) -> int | None:
    """Return by how many characters a line is indented; None for a blank line."""
    return len(line) - len(line.lstrip()) if line.strip() else None


def runs(text: str) -> set[tuple[str, ...]]:
    """Return every run of eight words in a row."""
    words = re.findall(r"[a-z]+", text.lower())
    return {tuple(words[i : i + RUN]) for i in range(max(1, len(words) - RUN + 1))}


def tokens(text: str) -> list[str]:
    """Return words, in lower case, and punctuation marks; digits and other signs are dropped.

    A word is a run of letters with their combining marks (accents, vowel signs). In scripts without
    spaces, such as Chinese and Thai, each letter is a token.
    """
    if text.isascii():
        return TOKEN.findall(text.lower())
    found: list[str] = []
    previous = ""
    for character in unicodedata.normalize("NFKC", text).casefold():
        kind = _kind(character)
        if (kind == "combining" and previous) or kind == previous == "letter":
            found[-1] += character
        elif kind in ("letter", "spaceless", "mark"):
            found.append(character)
        if kind not in ("combining", "invisible"):
            previous = "" if kind == "mark" else kind
    return found


@functools.cache
def _kind(character: str) -> str:
    """Return what a character is to `tokens`; "" for what separates words."""
    if character in MARKS:
        return "mark"
    category = unicodedata.category(character)
    if category[0] == "L":
        name = unicodedata.name(character, "")
        return "spaceless" if name.startswith(SPACELESS) else "letter"
    return {"M": "combining", "C": "invisible" if category == "Cf" else ""}.get(category[0], "")


Tokenizer = Callable[[str], list[str]]


def vocabulary(texts: Sequence[str], size: int = 4096, tokenize: Tokenizer = tokens) -> list[str]:
    """Return the three special words, and the most frequent words of the training texts.

    The position of a word in the list is its number in `encode`: 0 for padding, 1 for every unknown
    word, 2 for a masked word.

    Args:
        texts: of the training only.
        size: how many words at most, the special ones included.
        tokenize: cuts a text into words; see `tokens`.
    """
    if size <= len(SPECIAL):
        raise InputError(f"vocabulary: size={size}; expected at least {len(SPECIAL) + 1}.")
    counts = Counter(
        token for text in _checked(texts, "vocabulary") for token in _cut(text, tokenize)
    )
    frequent = sorted(counts, key=lambda token: (-counts[token], token))  # ties by alphabet
    return [*SPECIAL, *frequent[: size - len(SPECIAL)]]


def encode(
    texts: Texts, words: Sequence[str], length: int = 64, tokenize: Tokenizer = tokens
) -> MemoryDataset:
    """Return texts as numbers: x of shape (N, length), integers, padded with 0 at the end.

    Args:
        words: what `vocabulary` returned for the *training* texts.
        length: longer texts are cut.
        tokenize: the one that `vocabulary` got.
    """
    if tuple(words[: len(SPECIAL)]) != SPECIAL:
        raise InputError(f"encode: words begin with {list(words[:3])}; expected {list(SPECIAL)}.")
    if length < 1:
        raise InputError(f"encode: length={length}; expected at least 1.")
    number = {word: i for i, word in enumerate(words)}
    x = torch.full((len(texts), length), PADDING)
    for row, text in zip(x, texts.texts, strict=True):
        found = _cut(text, tokenize)[:length]
        row[: len(found)] = torch.tensor([number.get(token, UNKNOWN) for token in found])
    _check_known(x, words, texts)
    return MemoryDataset(x, texts.y, texts.classes, texts.name)


def _cut(text: str, tokenize: Tokenizer) -> list[str]:
    found = tokenize(text) if callable(tokenize) else tokenize
    if not isinstance(found, list) or not all(isinstance(token, str) for token in found):
        raise InputError(
            f"tokenize: found {found!r:.40} for {text!r:.40}; "
            "expected a function that returns a list of texts."
        )
    return found


def _check_known(x: Tensor, words: Sequence[str], texts: Texts) -> None:
    """Refuse texts in a language, or cut in a way, that the vocabulary does not know."""
    is_word = torch.tensor([i > UNKNOWN and word not in MARKS for i, word in enumerate(words)])
    empty = (~is_word[x].any(1)).nonzero().flatten()
    if len(empty) > MOST_EMPTY * len(x):
        first = int(empty[0])
        raise InputError(
            f"{texts.name}: {len(empty):,} of {len(x):,} texts hold no word of the vocabulary, "
            f"such as text {first}, {texts.texts[first][:40]!r}; expected {MOST_EMPTY:.0%} at most."
            " Make the vocabulary of the training texts, with the same tokenize=."
        )


# ---- film reviews --------------------------------------------------------------------------------

SUBJECTS = (
    *("acting", "camera", "cast", "dialogue", "ending", "humour"),
    *("music", "pacing", "plot", "scenery", "script", "story"),
)
PRAISE = (
    *("bold", "brilliant", "charming", "clever", "elegant", "fresh"),
    *("funny", "graceful", "gripping", "honest", "lively", "moving"),
    *("superb", "tender", "vivid", "warm", "witty", "wonderful"),
)
BLAME = (
    *("awful", "bland", "boring", "clumsy", "cold", "dreadful"),
    *("dull", "empty", "flat", "lazy", "messy", "noisy"),
    *("shallow", "silly", "slow", "stale", "tired", "weak"),
)
NOT = ("hardly", "never", "not")
CLAUSES = 3  # in each review


def reviews(n: int, seed: int = 0, *, negated: float = 0.1) -> Texts:
    """Return n generated reviews of one sentence or three, half negative and half positive.

    A review has one opinion, stated about three things: "the plot is dull, the cast is never
    funny and the music is weak." Its adjectives are from the list of that opinion, or, after
    a negation, from the other list.

    Args:
        negated: how often a clause has a negation, 0..1.
    """
    if n < 1:
        raise InputError(f"reviews: n={n}; expected at least 1.")
    if not 0 <= negated <= 1:
        raise InputError(f"reviews: negated={negated}; expected a share between 0 and 1.")
    generator = torch.Generator().manual_seed(seed)

    def one_of(words: tuple[str, ...]) -> str:
        return words[int(torch.randint(len(words), (), generator=generator))]

    def chance(share: float) -> bool:
        return float(torch.rand((), generator=generator)) < share

    def clause(subject: str, is_positive: bool) -> str:
        if chance(negated):
            return f"the {subject} is {one_of(NOT)} {one_of(BLAME if is_positive else PRAISE)}"
        return f"the {subject} is {one_of(PRAISE if is_positive else BLAME)}"

    def review(is_positive: bool) -> str:
        subjects = torch.randperm(len(SUBJECTS), generator=generator)[:CLAUSES].tolist()
        *first, last = (clause(SUBJECTS[i], is_positive) for i in subjects)
        if chance(0.5):
            return f"{', '.join(first)} and {last}."
        return f"{'. '.join([*first, last])}."

    y = torch.arange(n) % 2
    texts = [review(bool(label)) for label in y]
    return Texts(texts, y, ["negative", "positive"], "generated reviews", [])


def film_reviews(part: str = "train") -> Texts:
    """Return 10,662 real sentences of film reviews, negative or positive.

    They come without a split; every fifth one of each file is for testing.

    Source: Pang and Lee, Seeing Stars (2005). TRANSFERLAB_DATA names the folder that holds them.

    Args:
        part: "train" or "test".
    """
    if part not in ("train", "test"):
        raise InputError(f"film_reviews: part={part!r} is unknown; expected 'train' or 'test'.")
    folder = real_folder("text", "rt_polarity")
    texts, labels = [], []
    for label, ending in enumerate(("neg", "pos")):
        file = folder / f"rt-polarity.{ending}"
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{file} is missing or not UTF-8; expected a text file.") from error
        chosen = [line for i, line in enumerate(lines) if (i % 5 == 0) == (part == "test")]
        texts += chosen
        labels += [label] * len(chosen)
    return Texts(texts, torch.tensor(labels), ["negative", "positive"], "rt_polarity", [])
