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
    assert error == (
        "nbgrader is not installed; the command needs: pip install -e '.[notebook,teach]'\n"
    )


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Path | None, int | None]]:
    """What the command wants pre-trained: folder and steps; nothing is trained or written."""
    wanted = []

    def make(name: str, folder: Path | None, *, steps: int | None, **others: object) -> Path:
        wanted.append((folder, steps))
        return Path(f"{name}.safetensors")

    monkeypatch.setattr("transferlab.recipes.make_checkpoint", make)
    return wanted


@pytest.mark.parametrize(
    "option", [("--steps", "100"), ("--seed", "1"), ("--device", "cuda"), ("--device", "auto")]
)
def test_other_weights_never_replace_the_shipped_ones(
    command: Callable, asked: list, option: tuple[str, str]
) -> None:
    code, output, error = command("pretrain", "letters", *option)
    assert (code, output, asked) == (2, "", [])
    assert "--to must name a folder" in error
    assert len(error.strip().splitlines()) == 1
    assert command("pretrain", "letters", *option, "--to", "mine")[0] == 0
    assert [folder for folder, _ in asked] == [Path("mine")]


def test_the_shipped_weights_can_be_made_again_in_place(command: Callable, asked: list) -> None:
    assert command("pretrain", "letters")[0] == 0
    assert command("pretrain", "letters", "--seed", "0", "--steps", "2500")[0] == 0  # the card's
    assert asked == [(None, None), (None, 2500)]


def test_an_unknown_recipe_is_named_first(command: Callable) -> None:
    code, _, error = command("pretrain", "digits", "--steps", "100")
    assert (code, error[:27]) == (2, "recipe 'digits' is unknown;")
