"""What the tests of folders and tables share: bad input gets one sentence."""

from collections.abc import Callable

import pytest

from transferlab import InputError


def refuse(call: Callable[[], object], sentence: str) -> None:
    """Check that `call` raises an InputError of one sentence that matches `sentence`."""
    with pytest.raises(InputError, match=sentence) as caught:
        call()
    text = str(caught.value)
    assert "\n" not in text and text.endswith(".") and len(text) < 400
