"""One way to open an image file, so that the network sees what a viewer shows."""

import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from transferlab.device import cpu_quota
from transferlab.errors import InputError

IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
# Pillow suspects an attack from half the size on that it refuses; the refusal below is enough.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I;16N", "I")  # "I": 16 bits in 32, from older Pillows


def read_image(file: Path, at_least: int | None = None) -> Image.Image:
    """Return an image file as a viewer shows it: upright, 8 bits per colour, mode RGB.

    The camera's orientation is applied. Transparent parts become white, 16-bit grey is divided by
    257, and floating-point grey is expected in 0..1. Of several frames, the first one is taken.

    Args:
        at_least: pixels that each side needs; a larger JPEG file is then read at a half, a quarter
            or an eighth of its size, which is much faster.
    """
    with open_image(file) as image:
        try:
            if at_least is not None:
                image.draft(None, (at_least, at_least))
            return _as_rgb(ImageOps.exif_transpose(image), file)
        except InputError:
            raise
        except Exception as error:  # Pillow has a dozen kinds of exceptions for damaged files
            raise InputError(f"{file} is a damaged image: {error}.") from error


def open_image(file: Path) -> Image.Image:
    """Open an image and read its header only."""
    try:
        return Image.open(file)
    except OSError as error:
        if error.errno is not None:  # the system's, such as a file without permission
            raise InputError(f"{file} cannot be read: {error.strerror}.") from error
        raise InputError(_damaged(file)) from error
    except Image.DecompressionBombError as error:
        raise InputError(
            f"{file} has more than {2 * Image.MAX_IMAGE_PIXELS / 1e6:.0f} million pixels; make it "
            "smaller, or raise PIL.Image.MAX_IMAGE_PIXELS if you trust it."
        ) from error
    except Exception as error:
        raise InputError(_damaged(file)) from error


def _damaged(file: Path) -> str:
    return f"{file} is damaged or not an image, although its name says so; remove or replace it."


def _as_rgb(image: Image.Image, file: Path) -> Image.Image:
    if image.mode in SIXTEEN_BITS:
        image = _to_8_bits(image, 65535, file)
    elif image.mode == "F":
        image = _to_8_bits(image, 1, file)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def _to_8_bits(image: Image.Image, white: int, file: Path) -> Image.Image:
    """Return a grey image with 255 where the values were `white`."""
    values = np.asarray(image)
    low, high = values.min(), values.max()
    if not (low >= 0 and high <= white):  # also when one is NaN
        raise InputError(f"{file} has grey values in {low:g}..{high:g}; expected 0..{white}.")
    return Image.fromarray(np.round(values / white * 255).astype(np.uint8))


def list_images(folder: Path) -> tuple[list[Path], list[Path]]:
    """Return all images below a folder, sorted, and all other files and hidden folders."""
    images, others = [], []
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not is_ignored(path):
            inside, beside = list_images(path)
            images += inside
            others += beside
        elif path.suffix.lower() in IMAGE_ENDINGS and path.is_file() and not is_ignored(path):
            images.append(path)
        else:
            others.append(path)
    return images, others


def is_ignored(path: Path) -> bool:
    """Return whether a file or folder belongs to a system, not to its owner."""
    return path.name.startswith((".", "@")) or path.name == "__MACOSX"


def check_images(files: Sequence[Path], decode: bool) -> list[Path]:
    """Refuse damaged files, all named at once; return those with more than one frame.

    Args:
        decode: read every pixel, which takes a hundred times longer than the headers.
    """

    def look_at(file: Path) -> InputError | bool:
        try:
            if decode:
                read_image(file)
            with open_image(file) as image:
                return getattr(image, "is_animated", False)
        except InputError as error:
            return error

    with ThreadPoolExecutor(max(1, int(cpu_quota()))) as pool:
        found = list(pool.map(look_at, files))
    faults = [str(answer) for answer in found if isinstance(answer, InputError)]
    if faults:
        more = f" And {len(faults) - 1} more such files." if len(faults) > 1 else ""
        raise InputError(faults[0] + more)
    return [file for file, answer in zip(files, found, strict=True) if answer]
