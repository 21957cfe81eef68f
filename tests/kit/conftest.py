"""What the tests of the kit share."""

import sys
from collections.abc import Callable

import pytest

from transferlab.kit import cli


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> Callable[..., tuple[int, str, str]]:
    """Return a function that runs `transferlab …` and gives exit code, output and errors."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["transferlab", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.app()
        return int(ended.value.code or 0), *capsys.readouterr()

    return run
