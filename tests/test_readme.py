"""The README's snippets run as they stand, and its links lead somewhere."""

import re
import runpy
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_iris

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
    shutil.copytree(tmp_path / "my_photos" / "ants", tmp_path / "new_photos")
    flowers = load_iris()
    kinds = flowers.target_names[flowers.target]
    rows = [f"{x[3]},{x[2]},{kind}" for x, kind in zip(flowers.data, kinds, strict=True)]
    text = "\n".join(["petal width,petal length,kind", *rows])
    (tmp_path / "flowers.csv").write_text(text, encoding="utf-8")
    load = transferlab.load_backbone

    def load_offline(name, weights=None, **options):
        if weights == "DEFAULT":  # torchvision would download it
            return load(name, num_classes=2, size=32, seed=0)
        return load(name, weights=weights, **options)

    monkeypatch.setattr(transferlab, "load_backbone", load_offline)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_there_are_snippets():
    assert len(SNIPPETS) == 4


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
    shown = capsys.readouterr().out
    if number == 0:
        assert "fine-tuned: accuracy" in shown
        assert re.search(r"new_photos/9\.png +(ants|bees) ", shown)
        assert (folder / "run.pt").is_file() and (folder / "ants_or_bees.safetensors").is_file()
    if number == 1:  # Fisher's iris flowers, real data
        assert float(re.search(r"accuracy ([\d.]+)%", shown)[1]) > 85
        assert re.findall(r"^\d +(\w+) ", shown, re.MULTILINE) == ["setosa", "virginica"]


def test_the_script_for_photos_tells_ants_from_bees(folder, shared_data, monkeypatch, capsys):
    """The first snippet with real photos and a real network."""
    shutil.rmtree(folder / "my_photos")
    shutil.copytree(shared_data / "hymenoptera" / "val", folder / "my_photos")
    ants = sorted((shared_data / "hymenoptera" / "train" / "ants").glob("*.jpg"))[:10]
    shutil.rmtree(folder / "new_photos")
    (folder / "new_photos").mkdir()
    for file in ants:
        shutil.copy(file, folder / "new_photos")
    weights = shared_data / "weights" / "mobilenet_v2_imagenet_dequantized.pth"
    load = transferlab.models.load_backbone
    monkeypatch.setattr(
        transferlab,
        "load_backbone",
        lambda name, weights_name, num_classes: load("mobilenet_v2", weights, num_classes, size=96),
    )
    script = SNIPPETS[0].replace('weights="DEFAULT", num_classes=2', '"DEFAULT", 2')
    script = script.replace("epochs=5, lr", "epochs=1, lr")
    (folder / "train.py").write_text(script, encoding="utf-8")
    runpy.run_path(str(folder / "train.py"), run_name="__main__")
    shown = capsys.readouterr().out
    assert float(re.search(r"no choice has seen: accuracy ([\d.]+)%", shown)[1]) > 70
    assert len(re.findall(r"\.jpg +ants ", shown)) >= 7


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
