"""What is released: a wheel that holds the course, and works where there is no clone."""

import re
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
LESSON = "03_formulas/01_neuron_layer_loss"


def run(*command: object, cwd: Path = ROOT) -> str:
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from what belongs in it, without a network."""
    pytest.importorskip("setuptools", minversion="77", reason="needs setuptools 77 to build")
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"  # building leaves files behind
    names = run("git", "ls-files", "-co", "--exclude-standard").splitlines()
    for name in names:
        if not name.startswith("tests/") and (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    offline = "--no-deps", "--no-build-isolation", "--no-index"
    run(sys.executable, "-m", "pip", "wheel", *offline, "--wheel-dir", folder, source)
    (made,) = folder.glob("*.whl")
    return made


def test_the_version_stands_in_one_place(wheel):
    assert wheel.name.startswith(f"transferlab-{VERSION}-")
    assert f"version: {VERSION}\n" in (ROOT / "CITATION.cff").read_text()
    first = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert first[1] == VERSION


def test_the_wheel_holds_the_course_and_no_answers(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    here = {path.relative_to(ROOT / "course").as_posix() for path in (ROOT / "course").rglob("*.*")}
    here = {name for name in here if ".ipynb_checkpoints" not in name}
    there = {n.partition("share/transferlab/course/")[2] for n in names if "share/transferlab" in n}
    assert there == here
    assert not [name for name in names if "solutions" in name or name.startswith("tests")]
    package = {path.relative_to(ROOT).as_posix() for path in (ROOT / "transferlab").rglob("*.*")}
    code = {name for name in package if "__pycache__" not in name}
    assert code <= set(names), sorted(code - set(names))


def test_a_lesson_runs_from_the_wheel_alone(wheel, tmp_path):
    """The environment has the packages of this one, but neither the clone nor its path."""
    run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "env")
    python = next(path for path in (tmp_path / "env").glob("*/python*") if path.is_file())
    places = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    Path(places, "of_the_tests.pth").write_text(sysconfig.get_path("purelib"))
    templates = "share/jupyter/nbconvert"  # which nbconvert looks for beside its Python
    (tmp_path / "env/share/jupyter").mkdir(parents=True)
    (tmp_path / "env" / templates).symlink_to(Path(sys.prefix, templates))
    pip = sys.executable, "-m", "pip", "--python", python
    run(*pip, "install", "--no-deps", "--no-index", "--force-reinstall", wheel)
    command = python.with_name("transferlab")
    assert f"{VERSION}" in run(command, "--version", cwd=tmp_path)
    where = run(python, "-c", "import transferlab; print(transferlab.__file__)", cwd=tmp_path)
    assert where.startswith(str(tmp_path))
    assert "files" in run(command, "get", "course", cwd=tmp_path)
    assert (tmp_path / "course" / f"{LESSON}.ipynb").is_file()
    run(python, "-m", "transferlab.kit.kernel", cwd=tmp_path)  # as ipykernel's installation does
    run(command, "run", LESSON, "--profile", "smoke", cwd=tmp_path)
    again = subprocess.run(
        [command, "get", "course"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert again.returncode == 2 and "course is there already" in again.stderr
