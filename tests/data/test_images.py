"""Pixels as viewers see them: every kind of image file, right or one sentence."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sentences import refuse

from transferlab.data import image_folder
from transferlab.data.images import read_image

RED, WHITE, GREY = (255, 0, 0), (255, 255, 255), (128, 128, 128)


def pixel(file: Path, row: int = 0, column: int = 0) -> tuple[int, ...]:
    image = read_image(file)
    assert image.mode == "RGB"
    return image.getpixel((column, row))


@pytest.mark.parametrize(
    ("orientation", "corner"),
    [(1, (0, 0)), (2, (0, 2)), (3, (1, 2)), (4, (1, 0)), (5, (0, 0)), (6, (0, 1)), (7, (2, 1)),
     (8, (2, 0))],
)  # fmt: skip
def test_the_cameras_orientation_is_applied(tmp_path, orientation, corner):
    """The first pixel of the file comes to (row, column), after the EXIF standard (2.3, 2010)."""
    image = Image.new("RGB", (3, 2))
    image.putpixel((0, 0), RED)
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(tmp_path / "1.png", exif=exif)
    assert read_image(tmp_path / "1.png").size == ((3, 2) if orientation < 5 else (2, 3))
    assert pixel(tmp_path / "1.png", *corner) == RED


@pytest.mark.parametrize(
    ("values", "ending", "expected"),
    [
        (np.array([[0, 65535]], np.uint16), "png", [0, 255]),
        (np.array([[257 * 100, 32768]], np.uint16), "png", [100, 128]),
        (np.array([[0, 65535]], np.uint16), "tif", [0, 255]),
        (np.array([[257, 65535]], np.int32), "tif", [1, 255]),
        (np.array([[0.5, 1]], np.float32), "tif", [128, 255]),
        (np.array([[0, 200]], np.uint8), "png", [0, 200]),
        (np.array([[False, True]]), "png", [0, 255]),
    ],
)
def test_grey_of_every_type_is_scaled_by_its_type(tmp_path, values, ending, expected):
    file = tmp_path / f"1.{ending}"
    Image.fromarray(values).save(file)
    assert [pixel(file, 0, column) for column in (0, 1)] == [(v, v, v) for v in expected]


@pytest.mark.parametrize("value", [70_000, -1])
def test_grey_of_an_unknown_scale_is_refused(tmp_path, value):
    Image.fromarray(np.array([[0, value]], np.int32)).save(tmp_path / "1.tif")
    refuse(
        lambda: read_image(tmp_path / "1.tif"), r"1\.tif has grey values in .*expected 0\.\.65535"
    )


@pytest.mark.parametrize("value", [2.0, -0.5, float("nan")])
def test_floating_point_grey_outside_0_to_1_is_refused(tmp_path, value):
    Image.fromarray(np.array([[0, value]], np.float32)).save(tmp_path / "1.tif")
    refuse(lambda: read_image(tmp_path / "1.tif"), r"1\.tif has grey values in .*expected 0\.\.1\.")


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("RGBA", (255, 0, 0, 0), WHITE),
        ("RGBA", (255, 0, 0, 255), RED),
        ("RGBA", (0, 0, 0, 127), GREY),
        ("LA", (0, 0), WHITE),
        ("LA", (0, 255), (0, 0, 0)),
    ],
)
def test_transparency_shows_white_paper(tmp_path, mode, colour, expected):
    Image.new(mode, (2, 2), colour).save(tmp_path / "1.png")
    assert pixel(tmp_path / "1.png") == expected


@pytest.mark.parametrize(("transparency", "expected"), [(None, RED), (0, WHITE)])
def test_palettes_with_and_without_a_transparent_colour(tmp_path, transparency, expected):
    image = Image.new("P", (2, 2), 0)
    image.putpalette([*RED, 0, 0, 0])
    options = {} if transparency is None else {"transparency": transparency}
    image.save(tmp_path / "1.png", **options)
    assert pixel(tmp_path / "1.png") == expected


@pytest.mark.parametrize(("ink", "expected"), [((0, 0, 0, 0), WHITE), ((0, 255, 255, 0), RED)])
def test_printing_inks_become_colours(tmp_path, ink, expected):
    Image.new("CMYK", (8, 8), ink).save(tmp_path / "1.jpg", quality=100)
    assert pixel(tmp_path / "1.jpg") == pytest.approx(expected, abs=3)


@pytest.mark.parametrize("ending", ["png", "tif", "webp"])
def test_of_several_frames_the_first_is_taken_and_said(tmp_path, ending):
    first, second = Image.new("RGB", (8, 8), RED), Image.new("RGB", (8, 8), WHITE)
    file = tmp_path / "set" / "a" / f"1.{ending}"
    file.parent.mkdir(parents=True)
    options = {"lossless": True} if ending == "webp" else {}
    first.save(file, save_all=True, append_images=[second], **options)
    with pytest.warns(UserWarning, match=f"only the first is used: .*1.{ending}"):
        image_folder(tmp_path / "set")
    assert pixel(file) == RED


def test_an_image_too_large_to_be_one_is_refused(tmp_path, monkeypatch):
    Image.new("RGB", (40, 40)).save(tmp_path / "1.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    assert read_image(tmp_path / "1.png").size == (40, 40)  # not twice as many
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 700)
    refuse(lambda: read_image(tmp_path / "1.png"), r"1\.png has more than 0 million pixels")


def test_a_folder_and_a_locked_file_are_no_damaged_images(tmp_path):
    refuse(lambda: read_image(tmp_path), "cannot be read: Is a directory")
