"""The plan of the house: who may import whom, how much is shipped, and what stays outside."""

import ast
import subprocess
from pathlib import Path

import pytest

from transferlab.models import card, shipped
from transferlab.models.weights import SHIPPED, sha256

REPOSITORY = Path(__file__).parents[1]
PACKAGE = REPOSITORY / "transferlab"

# A module imports only what stands above it in this list (CONTRIBUTING.md).
ORDER = [
    "errors",
    "device",
    "distributed",
    "data",
    "evaluate",
    "plots",
    "history",
    "models",
    "checkpoint",
    "train",
    "pretrain",
    "finetune",
    "features",
    "select",
    "interpret",
    "privacy",
    "recipes",
    "lesson",
]


def imported(file: Path) -> set[str]:
    """Return the modules of the package that a file imports, as parts of `transferlab`."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} imports relatively"
            module = (node.module or "").split(".")
            if module == ["transferlab"]:
                found |= {alias.name for alias in node.names}
            elif module[0] == "transferlab":
                found.add(module[1])
        elif isinstance(node, ast.Import):
            found |= {
                alias.name.split(".")[1]
                for alias in node.names
                if alias.name.startswith("transferlab.")
            }
    return found


def modules() -> dict[str, list[Path]]:
    """Return every room of the package with its files, without the kit and the front door."""
    rooms: dict[str, list[Path]] = {}
    for file in PACKAGE.rglob("*.py"):
        room = file.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if room not in ("kit", "__init__"):
            rooms.setdefault(room, []).append(file)
    return rooms


def test_every_module_has_its_place():
    assert set(modules()) <= set(ORDER)


def test_a_module_imports_only_what_stands_above_it():
    wrong = []
    for room, files in modules().items():
        above = set(ORDER[: ORDER.index(room)])
        for file in files:
            rooms = imported(file) & (set(ORDER) | {"kit"}) - {room}
            wrong += [f"{file.name} imports {name}" for name in rooms - above]
    # plots may name History for type checkers only; everything else would be a circle
    allowed = {"plots.py imports history"}
    assert set(wrong) <= allowed
    text = (PACKAGE / "plots.py").read_text(encoding="utf-8")
    assert "if TYPE_CHECKING:\n    from transferlab.history import History" in text


def test_nothing_imports_the_kit():
    files = [PACKAGE / "__init__.py", *(file for files in modules().values() for file in files)]
    assert not [file.name for file in files if "kit" in imported(file)]


def test_the_check_above_can_fail(tmp_path):
    file = tmp_path / "evaluate.py"
    file.write_text("from transferlab.train import fit\nfrom transferlab import kit, plots\n")
    assert imported(file) == {"train", "kit", "plots"}


def test_shipped_weights_are_small_and_have_their_cards():
    assert shipped()
    assert sum(file.stat().st_size for file in SHIPPED.iterdir()) <= 4_000_000
    assert (SHIPPED / "letters.safetensors").stat().st_size <= 1_000_000
    for file in SHIPPED.iterdir():
        assert file.suffix in (".json", ".safetensors"), file.name
        assert card(file.stem)["sha256"] == sha256(SHIPPED / f"{file.stem}.safetensors")


def tracked() -> list[str]:
    done = subprocess.run(
        ["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip("needs a git repository; this copy of the files is none")
    return [name for name in done.stdout.split("\0") if name]


def test_real_data_and_built_things_stay_outside():
    names = tracked()
    assert not [name for name in names if name.startswith(("build/", ".venv/", "wheelhouse/"))]
    endings = (".pth", ".th", ".pt", ".ckpt", ".gz", ".jpg", ".jpeg", ".wav", ".tsv", ".part")
    assert not [name for name in names if name.lower().endswith(endings)]
    large = {name for name in names if (REPOSITORY / name).is_file()}
    large = {name for name in large if (REPOSITORY / name).stat().st_size > 1_000_000}
    assert not large


def test_no_file_of_the_real_data_is_tracked(shared_data):
    ours = {Path(name).name for name in tracked()} - {"README.md"}
    theirs = {file.name for file in shared_data.rglob("*") if file.is_file()}
    assert not ours & theirs


def test_the_top_level_is_as_planned():
    planned = {"pyproject.toml", "course", "transferlab", "tests", "solutions", "README.md"}
    planned |= {"Makefile", "LICENSE", "constraints.txt", "CONTRIBUTING.md", "CITATION.cff"}
    found = {name.split("/")[0] for name in tracked()}
    assert {name for name in found if not name.startswith(".")} <= planned
