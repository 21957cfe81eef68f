"""Nets below the trapeze: no draw, no initial weight and no shipped file changes unnoticed.

Every number of the course hangs on these draws. Whoever changes one on purpose writes the file anew
and says so:

    python tests/test_frozen.py
"""

import json
from pathlib import Path
from typing import Any

import pytest
from frozen_draws import entries

FROZEN = Path(__file__).with_name("frozen.json")
TOLERANCE = 1e-4
ENTRIES = dict(entries())


def is_same(found: Any, kept: Any) -> bool:
    if isinstance(kept, dict):
        return found.keys() == kept.keys() and all(is_same(found[k], kept[k]) for k in kept)
    if isinstance(kept, list):
        return found == pytest.approx(kept, rel=TOLERANCE, abs=TOLERANCE)
    return found == kept


def test_every_entry_is_kept():
    assert list(json.loads(FROZEN.read_text(encoding="utf-8"))) == list(ENTRIES)


@pytest.mark.parametrize("name", ENTRIES)
def test_the_draw_is_the_one_that_was_kept(name):
    kept = json.loads(FROZEN.read_text(encoding="utf-8"))[name]
    assert is_same(ENTRIES[name](), kept), f"{name} changed"


def freeze() -> None:
    """Write the file anew and say which entries changed."""
    kept = json.loads(FROZEN.read_text(encoding="utf-8")) if FROZEN.exists() else {}
    found = {name: make() for name, make in ENTRIES.items()}
    changed = [name for name in found if name not in kept or not is_same(found[name], kept[name])]
    FROZEN.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(f"{len(found)} entries; changed: {', '.join(changed) or 'none'}")


if __name__ == "__main__":
    freeze()
