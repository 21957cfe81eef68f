"""Folders of images: what is accepted, and one sentence for everything that is not."""

import multiprocessing
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sentences import refuse

from transferlab.data import batches, image_folder, in_memory, labels, split


def picture(path: Path, size: tuple[int, int] = (12, 10), color: tuple = (255, 0, 51)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, color).save(path)


def noise(path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    for name in ("bees/1.png", "bees/2.png", "ants/1.png", "ants/2.JPG", "ants/3.jpeg"):
        picture(folder / name)
    return folder


def test_folders_are_classes_in_order_of_name(photos):
    data = image_folder(photos)
    assert data.classes == ["ants", "bees"]
    assert labels(data).tolist() == [0, 0, 0, 1, 1]
    assert repr(data) == "photos: 5 images in files, 2 classes"
    x, y = data[4]
    assert (x.dtype, tuple(x.shape), y) == (torch.uint8, (3, 10, 12), 1)
    assert x[:, 0, 0].tolist() == [255, 0, 51]


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "1", "CMYK"])
def test_every_kind_of_picture_becomes_rgb(tmp_path, mode):
    (tmp_path / "a").mkdir()
    Image.new("RGB", (4, 4), (255, 255, 255)).convert(mode).save(tmp_path / "a" / "1.tif")
    x, _ = image_folder(tmp_path)[0]
    assert tuple(x.shape) == (3, 4, 4)
    assert (x == 255).all()


def test_decoding_once_gives_what_reading_gives(photos):
    data = image_folder(photos)
    memory = in_memory(data, workers=0)
    assert (memory.classes, memory.name, memory.x.dtype) == (data.classes, "photos", torch.uint8)
    assert all(torch.equal(memory.x[i], data[i][0]) for i in range(5))
    assert memory.y.tolist() == labels(data).tolist()
    [(x, _)] = batches(data, 5, workers=0)
    [(again, _)] = batches(memory, 5)
    assert x.dtype == torch.float32 and torch.equal(x, again)
    assert x[0, :, 0, 0].tolist() == pytest.approx([1, 0, 0.2])


def test_other_files_are_left_out_with_a_warning_that_names_them(photos):
    (photos / "ants" / "notes.txt").write_text("x")
    (photos / "ants" / ".DS_Store").write_text("x")
    (photos / ".git").mkdir()
    names = r"left out, not images: \.git, ants.\.DS_Store, ants.notes\.txt\.$"
    with pytest.warns(UserWarning, match=names) as caught:
        data = image_folder(photos)
    assert len(caught) == 1
    assert (len(data), data.classes) == (5, ["ants", "bees"])


@pytest.mark.parametrize(
    "odd", ["@eaDir/1.jpg", "__MACOSX/1.jpg", "ants/Thumbs.db", "ants/._1.jpg", "loose.jpg"]
)
def test_what_systems_leave_behind_is_no_photo_and_is_named(photos, odd):
    picture(photos / "ants" / "1.jpg")
    (photos / odd).parent.mkdir(exist_ok=True)
    shutil.copy(photos / "ants" / "1.jpg", photos / odd)
    with pytest.warns(UserWarning, match=f"not images: {odd.removesuffix('/1.jpg')}"):
        data = image_folder(photos)
    assert (len(data), data.classes) == (6, ["ants", "bees"])


def test_a_link_that_leads_nowhere_is_named(photos):
    (photos / "ants" / "9.jpg").symlink_to("nowhere.jpg")
    with pytest.warns(UserWarning, match=r"ants.9\.jpg"):
        assert len(image_folder(photos)) == 5


def test_folders_inside_a_class_are_searched(photos):
    picture(photos / "bees" / "2024" / "may" / "1.png", color=(0, 0, 255))
    data = image_folder(photos)
    assert (len(data), labels(data).tolist()) == (6, [0, 0, 0, 1, 1, 1])
    assert data[5][0][:, 0, 0].tolist() == [0, 0, 255]


def test_a_validation_folder_that_lacks_a_class_keeps_the_labels_of_training(photos):
    shutil.rmtree(photos / "ants")
    assert labels(image_folder(photos)).tolist() == [0, 0]
    data = image_folder(photos, classes=["ants", "bees"])
    assert (data.classes, labels(data).tolist()) == (["ants", "bees"], [1, 1])
    refuse(
        lambda: image_folder(photos, classes=["ants", "wasps"]),
        "holds a folder 'bees', which is none of the classes ants, wasps",
    )


def test_parts_of_a_data_set_are_no_classes(photos):
    for part in ("train", "val"):
        shutil.copytree(photos / "ants", photos / "both" / part / "ants")
    refuse(lambda: image_folder(photos / "both"), "holds train and val, which are parts of a data")
    assert len(image_folder(photos / "both" / "train")) == 3  # as the sentence says


def test_a_clean_folder_gives_no_warning(photos):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        image_folder(photos)


def test_hymenopteras_two_odd_files(shared_data):
    with pytest.warns(UserWarning, match=r"left out, not images: ants.imageNotFound\.gif\.$"):
        data = image_folder(shared_data / "hymenoptera" / "train")
    assert len(data) == 244
    assert any(file.name == "formica.jpeg" for file in data.files)
    assert not any(file.suffix == ".gif" for file in data.files)


def test_a_missing_or_empty_folder(photos, tmp_path):
    refuse(lambda: image_folder(photos / "none"), r"none is not a folder; expected one folder per")
    refuse(lambda: image_folder(photos / "bees" / "1.png"), r"1\.png is not a folder")
    (tmp_path / "empty").mkdir()
    refuse(lambda: image_folder(tmp_path / "empty"), r"empty holds no folders; expected")
    refuse(lambda: image_folder(photos / "bees"), r"bees holds no folders; expected")
    (photos / "wasps").mkdir()
    refuse(lambda: image_folder(photos), r"wasps holds no images; expected files ending in \.jpg")


def test_a_text_with_the_name_of_a_photo_is_named_at_once(photos):
    (photos / "bees" / "3.jpg").write_text("<html>404</html>")
    refuse(lambda: image_folder(photos), r"3\.jpg is damaged or not an image, although its name")
    (photos / "bees" / "3.jpg").write_bytes(b"")
    refuse(lambda: image_folder(photos), r"3\.jpg is damaged or not an image")


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "bmp", "tif"])
def test_a_cut_photo_is_named_wherever_it_was_cut(photos, ending):
    file = photos / "bees" / f"9.{ending}"
    noise(file)
    whole = file.read_bytes()
    for share in (0.01, 0.03, 0.1, 0.5, 0.9):
        file.write_bytes(whole[: max(1, int(share * len(whole)))])

        def read():
            data = image_folder(photos)
            return [data[i] for i in range(len(data))]

        refuse(read, rf"9\.{ending} is (a )?damaged")


@pytest.mark.parametrize("workers", [0, 2])
def test_a_workers_error_is_the_same_sentence(photos, workers):
    noise(photos / "bees" / "9.jpg")
    whole = (photos / "bees" / "9.jpg").read_bytes()
    (photos / "bees" / "9.jpg").write_bytes(whole[: len(whole) // 2])

    def transform(image):
        return torch.zeros(3, 2, 2)

    data = image_folder(photos, transform)
    refuse(lambda: in_memory(data, workers=workers), r"^\S+9\.jpg is a damaged image")
    refuse(lambda: list(batches(data, 2, workers=workers)), r"^\S+9\.jpg is a damaged image")
    assert not multiprocessing.active_children()  # the workers ended with the error


def test_photos_of_different_sizes_need_a_transform(photos):
    picture(photos / "ants" / "9.png", size=(30, 20))
    data = image_folder(photos)
    sentence = r"\(3, 10, 12\) and \(3, 20, 30\); give the data set transform=backbone\.transform"
    refuse(lambda: list(batches(data, 6, workers=0)), sentence)


def test_split_of_a_folder_keeps_names_and_classes(photos):
    parts = split(image_folder(photos), (0.5, 0.5), seed=0)
    assert [part.classes for part in parts] == [["ants", "bees"]] * 2
    assert sorted(i for part in parts for i in part.indices) == [0, 1, 2, 3, 4]


def test_a_photo_that_vanishes_is_named(photos):
    data = image_folder(photos)
    shutil.rmtree(photos / "bees")
    refuse(lambda: data[3], r"1\.png cannot be read: No such file or directory")


def test_verify_finds_damage_behind_the_header_and_counts_it(photos):
    for number in (8, 9):
        noise(photos / "bees" / f"{number}.png")
        content = (photos / "bees" / f"{number}.png").read_bytes()
        (photos / "bees" / f"{number}.png").write_bytes(content[: len(content) // 2])
    assert len(image_folder(photos)) == 7  # the headers are whole
    refuse(
        lambda: image_folder(photos, verify=True), r"8\.png is a damaged image.* And 1 more such"
    )
