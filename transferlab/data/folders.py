"""Your own photos: a folder of images, one folder per class."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms.functional import pil_to_tensor

from transferlab.errors import InputError

IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm")


class ImageFolder(Dataset):
    """Images sorted into one folder per class, read when asked for.

    ::

        photos/ants/1.jpg
        photos/ants/2.jpg
        photos/bees/1.jpg

    Every file is opened once at the start (its header only), so that a damaged one is reported now
    and not after an hour of training. Files that are not images are left out, with a warning
    that names them; hidden files are left out silently.

    Args:
        folder: the folder that holds one folder per class.
        transform: turns a picture into a tensor, usually `backbone.transform`. Without one,
            the picture becomes uint8 of shape (3, height, width).
    """

    def __init__(self, folder: str | Path, transform: Callable[[Any], Tensor] | None = None):
        folder = Path(folder)
        if not folder.is_dir():
            raise InputError(f"{folder} is not a folder; expected one folder per class inside it.")
        self.classes = sorted(
            p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".")
        )
        if not self.classes:
            raise InputError(f"{folder} holds no folders; expected one folder of images per class.")
        self.files: list[Path] = []
        self.targets: list[int] = []
        left_out = []
        for label, name in enumerate(self.classes):
            files = sorted(
                p for p in (folder / name).iterdir() if p.is_file() and not p.name.startswith(".")
            )
            images = [file for file in files if file.suffix.lower() in IMAGE_ENDINGS]
            left_out += [file for file in files if file.suffix.lower() not in IMAGE_ENDINGS]
            if not images:
                raise InputError(
                    f"{folder / name} holds no images; expected files ending in "
                    f"{', '.join(IMAGE_ENDINGS)}."
                )
            self.files += images
            self.targets += [label] * len(images)
        for file in self.files:
            _open_image(file).close()
        if left_out:
            names = ", ".join(str(file.relative_to(folder)) for file in left_out[:3])
            more = f" and {len(left_out) - 3} more" if len(left_out) > 3 else ""
            warnings.warn(f"{folder}: left out, not images: {names}{more}.", stacklevel=2)
        self.name, self.transform = folder.name, transform

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        file = self.files[index]
        with _open_image(file) as image:
            try:
                picture = image.convert("RGB")
            except Exception as error:  # Pillow has a dozen kinds of exceptions for damaged files
                raise InputError(f"{file} is a damaged image: {error}.") from error
        x = pil_to_tensor(picture) if self.transform is None else self.transform(picture)
        return x, self.targets[index]

    def __repr__(self) -> str:
        return f"{self.name}: {len(self):,} images in files, {len(self.classes)} classes"


def _open_image(file: Path) -> Image.Image:
    try:
        return Image.open(file)
    except (FileNotFoundError, PermissionError):
        raise
    except Exception as error:
        raise InputError(
            f"{file} is damaged or not an image, although its name says so; remove or replace it."
        ) from error


def image_folder(
    folder: str | Path, transform: Callable[[Any], Tensor] | None = None
) -> ImageFolder:
    """Return the images below `folder`, one folder per class; see `ImageFolder`."""
    return ImageFolder(folder, transform)
