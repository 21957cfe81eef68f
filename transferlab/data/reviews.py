"""Generated film reviews: templates with words of praise and blame. No person wrote them."""

import torch

from transferlab.data.docstrings import Texts
from transferlab.errors import InputError

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

    A review has one opinion and says it of three things: "the plot is dull, the cast is never
    funny and the music is weak." The word itself is from the list of the opinion, or, after a
    negation, from the other one.

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
