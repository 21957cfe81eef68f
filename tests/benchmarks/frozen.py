"""A new head on a frozen backbone: features computed once against a pass in every epoch.

    python tests/benchmarks/frozen.py                                     # about 10 minutes
    python tests/benchmarks/frozen.py --rows TransferLab Lightning --rounds 3
    python tests/benchmarks/frozen.py --images solar_cells

Ants against bees (generated images, when they are absent), or functional solar cells against
defective ones of other modules, with MobileNet v2: 10 epochs, batches of 4, SGD with momentum 0.9,
a learning rate of 0.001, on the CPU with all cores. The source is the
loop of PyTorch's transfer learning tutorial. It decodes, crops and flips every image in every epoch
and sends it through the frozen network; so do the frameworks, each with the recipe of its own pages
and with as many processes that decode as there are cores. TransferLab computes the features once,
from the centre of each image, and trains the head on them: the same steps, without the random crops
and flips. "TransferLab again" is a second call, which finds the features on the disk.

Timed is everything after the imports and the building of the network: finding the files, decoding,
training, validating after each epoch. How each row does it stands in frozen_rows.py. All begin with
the same head; at the end the network's accuracy on the validation images is measured in the same
way for all, and must agree with the source's as far as so few images can tell.
"""

import argparse
import math
import shutil
import statistics
import sys
from dataclasses import asdict
from pathlib import Path

import torch
from frozen_rows import ROWS
from report import Runs, busy, ratio_figure, ratios, timing_table, write
from torchvision.transforms.functional import to_pil_image
from workers import FOLDER, RowError, Worker

from transferlab import data
from transferlab.data.places import data_folder
from transferlab.device import cpu_quota
from transferlab.kit.kernel import ENVIRONMENT as KERNEL  # what a lesson's process has

SCRIPT = Path(__file__).with_name("frozen_rows.py")
SOURCE = "tutorial"
GENERATED = {"train": 244, "val": 153}  # as many as there are ants and bees
SOLAR_CELLS = {"train": 400, "val": 200}


def find_images(kind: str) -> tuple[Path, Path | None]:
    """Return the folder of images and the file of weights, if there are any."""
    folder = data_folder()
    weights = folder and folder / "weights" / "mobilenet_v2_imagenet_dequantized.pth"
    known = weights if weights and weights.is_file() else None
    if kind == "solar_cells":
        return write_images(FOLDER / "frozen-cells", solar_cells()), known
    if folder and (folder / "hymenoptera").is_dir():
        return folder / "hymenoptera", known
    print("There are no ants and bees (set TRANSFERLAB_DATA): generated shapes, random weights.")
    return write_images(FOLDER / "frozen-images", generated_images()), None


def generated_images() -> dict[str, data.MemoryDataset]:
    """Return two classes of shapes, 256×256 pixels, for training and validation."""
    drawn = {part: data.shapes(8 * n, seed=n, size=64) for part, n in GENERATED.items()}
    return {
        part: data.resize(drawn[part].subset((drawn[part].y < 2).nonzero().flatten()[:n]), 256)
        for part, n in GENERATED.items()
    }


def solar_cells() -> dict[str, data.MemoryDataset]:
    """Return cells of 300×300 pixels, as many of each class; modules are in one part only.

    Of the cells of some modules four in five are functional. Whoever always says so would be right
    as often, and the best epoch would be the one that says it most: hence equal classes.
    """
    groups = data.solar_modules()
    parts = data.split(data.solar_cells(), (0.7, 0.3), groups=groups)
    return {
        part: data.in_memory(data.few_shot(cells, n // 2))
        for (part, n), cells in zip(SOLAR_CELLS.items(), parts, strict=True)
    }


def write_images(folder: Path, parts: dict[str, data.MemoryDataset]) -> Path:
    """Write data sets as JPEG files, a folder per part and class."""
    shutil.rmtree(folder, ignore_errors=True)
    for part, drawn in parts.items():
        for number, (x, y) in enumerate(drawn):
            file = folder / part / drawn.classes[y] / f"{number}.jpg"
            file.parent.mkdir(parents=True, exist_ok=True)
            image = x if x.dtype == torch.uint8 else x.clamp(0, 1)
            to_pil_image(image).save(file, quality=95)
    return folder


def chance(accuracy: float, images: int) -> float:
    """Return how far apart two equally good heads can be, in 95 of 100 cases."""
    return 1.96 * math.sqrt(2 * accuracy * (1 - accuracy) / images)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--images", choices=("hymenoptera", "solar_cells"), default="hymenoptera")
    asked = parser.parse_args()
    folder, weights = find_images(asked.images)
    print(busy())
    names = [name for name in ROWS if name in asked.rows or name == SOURCE]
    if "TransferLab again" in names and "TransferLab" not in names:
        parser.error('"TransferLab again" needs "TransferLab" before it')
    threads = max(1, int(cpu_quota()))
    rows: dict[str, Runs] = {name: Runs() for name in names}
    faults = []
    for number in range(1, asked.rounds + 1):
        for name in names:  # "TransferLab again" finds what "TransferLab" has left
            worker = Worker(SCRIPT, name, threads, KERNEL if "TransferLab" in name else {})
            try:
                found = worker.ask(
                    folder=str(folder), weights=weights and str(weights), seed=number
                )
            except RowError as error:
                faults.append(str(error))
                print(f"  {error}", flush=True)
                continue
            finally:
                worker.close()
            runs = rows[name]
            runs.seconds.append(found["seconds"])
            runs.accuracy.append(found["accuracy"])
            if not found["backbone unchanged"]:
                runs.notes.append("the backbone changed")
            print(
                f"  round {number} of {asked.rounds}, {name}: {found['seconds']:.2f} s, "
                f"accuracy {found['accuracy']:.1%} on {found['images']} images",
                flush=True,
            )
    rows = {name: runs for name, runs in rows.items() if len(runs.seconds) == asked.rounds}
    right = statistics.mean(rows[SOURCE].accuracy)
    for name, runs in rows.items():
        apart = abs(statistics.mean(runs.accuracy) - right)
        if apart > chance(right, found["images"]):
            runs.notes.append("another accuracy")
        faults += [f"{name}: {note}" for note in runs.notes]
    title = f"A new head on a frozen MobileNet v2, {asked.images}"
    timing_table(title, rows, SOURCE)
    figure = ratio_figure({title: ratios(rows, SOURCE)}, "the tutorial's loop")
    write("frozen", {name: asdict(runs) for name, runs in rows.items()}, figure)
    if faults:
        sys.exit("Not comparable:\n" + "\n".join(faults))


if __name__ == "__main__":
    main()
