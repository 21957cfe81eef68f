"""Print the largest memory of this process during some steps, in MB; `test_features.py` runs it.

    python peak_memory.py FOLDER

Each step comes with n samples and with 4n, and then as the naive version with 4n. Linux only: its
kernel counts, and forgets the old maximum when asked to.
"""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from transferlab import fit, freeze
from transferlab.data import image_folder, in_memory
from transferlab.features import extract_features
from transferlab.models import Backbone

import torch  # isort: skip  (transferlab first: it sets how torch's threads wait)
from torch import Tensor, nn
from torch.utils.data import Dataset

ROWS = 300  # features of 16,384 numbers: 20 MB
PHOTOS = 100  # of 256×256 pixels: 20 MB


class Drawn(Dataset):
    """Samples that are made when they are asked for."""

    classes = ("even", "odd")

    def __init__(self, samples: int) -> None:
        self.samples = samples

    def __len__(self) -> int:
        return self.samples

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return torch.full((1, 4, 4), index / self.samples), index % 2

    def fingerprint(self) -> str:
        return f"drawn {self.samples}"


def photos(folder: Path, samples: int) -> Path:
    """Make a folder of photos, which are one file under many names."""
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True)
    photo = folder / "a" / "0.jpg"
    Image.effect_noise((256, 256), 50).convert("RGB").save(photo)
    for i in range(1, samples):
        os.link(photo, folder / "ab"[i % 2] / f"{i}.jpg")
    return folder


def peak(step: Callable[..., Any], *arguments: Any, **options: Any) -> float:
    """Run a step and return how far memory grew beyond what was in use before."""
    Path("/proc/self/clear_refs").write_text("5")
    before = status("VmRSS")
    step(*arguments, **options)
    return status("VmHWM") - before


def status(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    wide = nn.Sequential(nn.Flatten(), nn.Linear(16, 16_384))
    backbone = Backbone(wide, 16_384, 2, shape=(1, 4, 4), name="wide")
    freeze(backbone)
    few, many = Drawn(ROWS), Drawn(4 * ROWS)
    options = {"batch_size": 8, "cache": folder / "cache"}
    extract_features(backbone, few)  # what is loaded at the first use is no part of the comparison
    found = {
        "features": [
            peak(extract_features, backbone, few, **options),
            peak(extract_features, backbone, many, **options),
            peak(extract_features, backbone, many, **options),  # now they are read only
            peak(extract_features, backbone, many),
        ]
    }
    model = nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(48, 2))
    few, many = (image_folder(photos(folder / f"photos {n}", n)) for n in (PHOTOS, 4 * PHOTOS))
    options = {"epochs": 1, "batch_size": 4, "device": "cpu"}
    fit(model, few, **options)
    found["fit"] = [
        peak(fit, model, few, **options),
        peak(fit, model, many, **options),
        peak(in_memory, many),
    ]
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
