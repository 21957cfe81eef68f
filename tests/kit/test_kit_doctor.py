"""The doctor and the command line."""

from collections.abc import Callable
from pathlib import Path

import pytest

from transferlab.kit import doctor


@pytest.mark.parametrize(
    ("torch", "torchvision", "sentence"),
    [
        ("2.15.0+cu132", "0.29.2", ""),
        ("2.14.0", "0.29.0+cpu", ""),
        ("2.11.0", "0.26.0", ""),
        ("2.16.1", "0.31.0", ""),
        ("2.13.0", "0.29.0", "Install torchvision 0.28, which belongs to torch 2.13.0"),
        ("2.15.0", "0.26.0", "Install torchvision 0.29, which belongs to torch 2.15.0"),
        ("2.9.1", "0.24.0", "Install torch 2.11 or newer; this is 2.9.1."),
    ],
)
def test_torch_and_torchvision_must_fit(torch: str, torchvision: str, sentence: str) -> None:
    assert doctor.mismatch(torch, torchvision).startswith(sentence)
    assert bool(doctor.mismatch(torch, torchvision)) == bool(sentence)


def test_it_ends_in_ok(command: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_offline", lambda: iter(()))
    monkeypatch.setattr(doctor, "_room", lambda: iter(()))
    code, output, _ = command("doctor")
    assert code == 0
    assert output.splitlines()[-1] == "OK"
    assert "cores may be used" in output


def test_it_ends_in_what_to_do(
    command: Callable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TRANSFERLAB_DATA", str(tmp_path / "nowhere"))
    monkeypatch.setattr(doctor, "ENOUGH_DISK_GIB", 10**9)
    code, output, _ = command("doctor")
    assert code == 1
    assert "1. Free 1000000000 GiB of disk." in output
    assert "nowhere does not." in output.splitlines()[-1]


def test_it_says_which_sets_are_there(
    command: Callable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "hymenoptera").mkdir()
    monkeypatch.setenv("TRANSFERLAB_DATA", str(tmp_path))
    _, output, _ = command("doctor")
    (line,) = [line for line in output.splitlines() if line.startswith("real data")]
    assert "hymenoptera" in line


def test_help_teaches(command: Callable) -> None:
    code, output, _ = command("--help")
    assert code == 0
    for name in ("run", "lab", "doctor", "exercises", "release", "ledger"):
        assert name in output
        code, help_text, _ = command(name, "--help")
        assert code == 0
        assert f"  transferlab {name}" in help_text.split("Example")[1]


def test_a_missing_library_gets_a_sentence(
    command: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*arguments: object) -> None:
        raise ModuleNotFoundError("No module named 'nbgrader'", name="nbgrader")

    monkeypatch.setattr("transferlab.kit.exercises.write_exercises", missing)
    code, output, error = command("exercises")
    assert (code, output) == (2, "")
    assert error.startswith("nbgrader is not installed; the command needs: pip install")
