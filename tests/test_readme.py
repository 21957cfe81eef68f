"""The README's snippets run as they stand, and its links lead somewhere."""

import re
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import transferlab

README = Path(__file__).parents[1] / "README.md"
TEXT = README.read_text(encoding="utf-8")
SNIPPETS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A folder with photos of two classes and, as it is offline, a network of random weights."""
    pixels = np.random.default_rng(0)
    for name in ("ants", "bees"):
        (tmp_path / "my_photos" / name).mkdir(parents=True)
        for i in range(10):
            picture = Image.fromarray(pixels.integers(0, 255, (40, 40, 3), dtype=np.uint8))
            picture.save(tmp_path / "my_photos" / name / f"{i}.png")
    load = transferlab.load_backbone

    def load_offline(name, weights=None, **options):
        if weights == "DEFAULT":  # torchvision would download it
            return load(name, num_classes=2, size=32, seed=0)
        return load(name, weights=weights, **options)

    monkeypatch.setattr(transferlab, "load_backbone", load_offline)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_there_are_snippets():
    assert len(SNIPPETS) == 3


@pytest.mark.parametrize("number", range(len(SNIPPETS)))
def test_a_snippet_runs_as_it_stands(folder, number, capsys):
    script = folder / "train.py"
    script.write_text(SNIPPETS[number], encoding="utf-8")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        runpy.run_path(str(script), run_name="__main__")
    finally:
        torch.set_num_threads(before)
    if number == 0:
        assert "accuracy" in capsys.readouterr().out
        assert (folder / "run.pt").is_file()


def test_every_link_leads_to_a_file():
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)\)", TEXT)
    assert len(links) > 60
    assert not [link for link in links if not (README.parent / link).exists()]


def test_every_room_is_in_the_table_of_files():
    package = README.parent / "transferlab"
    rooms = {
        p.name for p in package.iterdir() if p.suffix == ".py" or (p / "__init__.py").is_file()
    }
    named = set(re.findall(r"\(transferlab/([\w.]+)", TEXT))
    assert rooms - {"__init__.py", "errors.py"} <= named
