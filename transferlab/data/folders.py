"""Your own photos: a folder of images, one folder per class."""

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.utils.data import Dataset

from transferlab.data.images import (
    IMAGE_ENDINGS,
    check_images,
    is_ignored,
    list_images,
    read_image,
)
from transferlab.errors import InputError

PARTS = {"train", "training", "val", "valid", "validation", "test", "testing"}


class ImageFiles(Dataset):
    """Images in files with labels, read when asked for.

    Every file is opened once at the start (its header only), so that a damaged one is reported now
    and not after an hour of training.

    Args:
        files: the image files.
        targets: the label of each, 0..len(classes)-1.
        classes: the name of each label.
        transform: turns a picture into a tensor, usually `backbone.transform`. Without one,
            the picture becomes uint8 of shape (3, height, width).
        name: what the data set is called in messages.
        verify: read every file to its end at the start; damage is not always in the header.
    """

    def __init__(
        self,
        files: Sequence[Path],
        targets: Sequence[int],
        classes: Sequence[str],
        transform: Callable[[Any], Tensor] | None = None,
        name: str = "images",
        *,
        verify: bool = False,
    ) -> None:
        self.files, self.targets, self.classes = list(files), list(targets), list(classes)
        self.transform, self.name = transform, name
        moving = check_images(self.files, decode=verify)
        if moving:
            warn_of(moving, f"{name}: of several frames only the first is used")

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        picture = read_image(self.files[index])
        if self.transform is not None:
            return self.transform(picture), self.targets[index]
        from torchvision.transforms import functional as V  # here: it takes as long as torch

        return V.pil_to_tensor(picture), self.targets[index]

    def __repr__(self) -> str:
        return f"{self.name}: {len(self):,} images in files, {len(self.classes)} classes"


def image_folder(
    folder: str | Path,
    transform: Callable[[Any], Tensor] | None = None,
    *,
    classes: Sequence[str] | None = None,
    verify: bool = False,
) -> ImageFiles:
    """Return the images below `folder`, one folder per class, with folders inside if you like.

    ::

        photos/ants/1.jpg
        photos/ants/2.jpg
        photos/bees/1.jpg

    What is no image, or belongs to the system, is left out with a warning that names it.

    Args:
        transform, verify: see `ImageFiles`.
        classes: the classes in the order of their labels; by default the folders, sorted. Give
            those of the training data for validation and test data, which may lack a class.
    """
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; expected one folder per class inside it.")
    inside = sorted(folder.iterdir())
    folders = {path.name: path for path in inside if path.is_dir() and not is_ignored(path)}
    left_out = [path for path in inside if path.name not in folders]
    _check_classes(folder, folders, classes)
    classes = sorted(folders) if classes is None else list(classes)
    files, targets = [], []
    for label, name in enumerate(classes):
        images, others = list_images(folders[name]) if name in folders else ([], [])
        if name in folders and not images:
            raise InputError(
                f"{folder / name} holds no images; expected files ending in "
                f"{', '.join(IMAGE_ENDINGS)}."
            )
        files += images
        targets += [label] * len(images)
        left_out += others
    data = ImageFiles(files, targets, classes, transform, folder.name, verify=verify)
    if left_out:
        names = [path.relative_to(folder) for path in left_out]
        warn_of(names, f"{folder}: left out, not images")
    return data


def _check_classes(folder: Path, folders: dict[str, Path], classes: Sequence[str] | None) -> None:
    if not folders:
        raise InputError(f"{folder} holds no folders; expected one folder of images per class.")
    parts = sorted(name for name in folders if name.lower() in PARTS)
    if len(parts) > 1 and len(parts) == len(folders):
        raise InputError(
            f"{folder} holds {' and '.join(parts)}, which are parts of a data set and no classes; "
            f"call image_folder for each part, such as image_folder({str(folder / parts[0])!r})."
        )
    unknown = sorted(set(folders) - set(classes)) if classes is not None else []
    if unknown:
        raise InputError(
            f"{folder} holds a folder {unknown[0]!r}, which is none of the classes "
            f"{', '.join(classes)}."
        )


def warn_of(names: Sequence[Path], what: str) -> None:
    """Warn of files, naming up to three of them."""
    shown = ", ".join(str(name) for name in names[:3])
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    warnings.warn(f"{what}: {shown}{more}.", stacklevel=3)
