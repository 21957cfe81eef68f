"""What a person has decided, laid over the marking: points by hand, flags that were looked at.

A flag says that an answer could have forged its verdict. What it concerns gives no points until a
person has looked at it.
"""

from collections.abc import Sequence
from dataclasses import replace

from transferlab.errors import InputError
from transferlab.kit.classroom.records import Check, Decision, Marking

LOOKED_AT_FIRST = "A person looks at this answer before its points count."


def decided(marking: Marking, decisions: Sequence[Decision]) -> Marking:
    """Return a marking as it counts: points by hand, flagged points withheld, only open flags."""
    given = {decision.name: decision for decision in decisions if decision.points is not None}
    flags = open_flags(marking, decisions)
    checks = []
    for check in marking.checks:
        if by_hand := given.get(check.name):
            points, comment = by_hand.points, by_hand.comment
            check = replace(check, status="by hand", points=points, comment=comment)
        elif check.status == "passed" and any(check.name in _about(f, marking) for f in flags):
            check = replace(check, status="withheld", points=None, message=LOOKED_AT_FIRST)
        checks.append(check)
    return replace(marking, checks=tuple(checks), flags=tuple(flags))


def open_flags(marking: Marking, decisions: Sequence[Decision]) -> list[str]:
    """Return the flags that nobody has looked at. A new marking may bring new ones.

    Who gave points for all checks that a flag is about has looked at it.
    """
    looked_at = {flag for decision in decisions for flag in decision.released}
    by_hand = {decision.name for decision in decisions if decision.points is not None}
    left = [flag for flag in marking.flags if flag not in looked_at]
    return [flag for flag in left if not marking.checks or _about(flag, marking) - by_hand]


def _about(flag: str, marking: Marking) -> set[str]:
    """Return the checks that a flag is about, by the name before its colon; else all."""
    name = flag.partition(":")[0]
    found = {check.name for check in marking.checks if name in (check.name, check.exercise)}
    return found or {check.name for check in marking.checks}


def check_points(check: Check, points: float) -> None:
    """Raise unless points by hand are possible: half points, from 0 to what a check is worth."""
    if not (0 <= points <= check.worth and points * 2 == int(points * 2)):
        raise InputError(
            f"{check.name}: found {points:g} points, expected 0 to {check.worth:g} in steps of 0.5."
        )
