"""Does a folder of images stream? Peak memory with N images and with 4 N; it must stay flat.

    python tests/benchmarks/streaming.py                # under two minutes
    python tests/benchmarks/streaming.py --images 4000

Each measurement is a process of its own, because a process does not forget its peak. It trains a
small CNN for an epoch, or computes its features into a cache, and tells its peak memory and that of
the largest of its workers, which decode. Beside it stands what the images would take if all of them
were kept in memory. Either peak may grow by a fifth of that at most; the run fails otherwise.
"""

import argparse
import resource
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from report import table, write
from torchvision.transforms.functional import to_pil_image
from workers import Worker, serve

from transferlab import fit, freeze
from transferlab.data import image_folder
from transferlab.features import extract_features
from transferlab.models import Backbone, small_cnn

SIDE = 224  # pixels
TASKS = ("fit", "extract_features")
SHARE = 0.2  # of what more images would take in memory; allocators make tens of MB of noise


def write_images(folder: Path, n: int) -> None:
    """Write n JPEG files of two classes: smooth noise, a few kilobytes each."""
    generator = torch.Generator().manual_seed(0)
    for number in range(n):
        coarse = torch.rand(1, 3, 10, 10, generator=generator)
        picture = torch.nn.functional.interpolate(coarse, size=SIDE, mode="bilinear")[0]
        file = folder / f"class {number % 2}" / f"{number}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        to_pil_image(picture).save(file)


def peak_mb(who: int) -> float:
    unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, Linux kilobytes
    return resource.getrusage(who).ru_maxrss * unit / 1e6


def network() -> Backbone:
    return small_cnn(2, shape=(3, SIDE, SIDE), widths=(4, 4, 8, 8, 16))


def answer(row: str, folder: str, cache: str) -> dict[str, Any]:
    """Do one task over a folder of images; return the peaks of this process and of its workers."""
    images, model = image_folder(folder), network()
    if row == "fit":
        fit(model, images, epochs=1, batch_size=16, device="cpu")
    else:
        freeze(model)
        extract_features(model, images, batch_size=16, device="cpu", cache=cache)
    return {
        "peak MB": peak_mb(resource.RUSAGE_SELF),
        "largest worker MB": peak_mb(resource.RUSAGE_CHILDREN),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=1000, help="N; the other folder has 4 N")
    n = parser.parse_args().images
    kept = 3 * SIDE**2 * n / 1e6  # MB, as uint8
    found: dict[str, dict[int, dict[str, float]]] = {task: {} for task in TASKS}
    with tempfile.TemporaryDirectory() as scratch:
        for count in (n, 4 * n):
            folder = Path(scratch, str(count))
            write_images(folder, count)
            for task in TASKS:
                worker = Worker(__file__, task, threads=1)
                found[task][count] = worker.ask(folder=str(folder), cache=f"{scratch}/cache")
                worker.close()
                print(
                    f"  {task}, {count:,} images: {found[task][count]['peak MB']:.0f} MB",
                    flush=True,
                )
    rows, too_much = [], []
    for task, peaks in found.items():
        for process in ("peak MB", "largest worker MB"):
            small, large = (peaks[count][process] for count in (n, 4 * n))
            rows.append(
                (f"{task}, {process}", f"{small:.0f}", f"{large:.0f}", f"{large - small:.0f}")
            )
            if large - small > SHARE * 3 * kept:
                too_much.append(f"{task}, {process}: grew by {large - small:.0f} MB")
    rows.append(("all images in memory, MB", f"{kept:.0f}", f"{4 * kept:.0f}", f"{3 * kept:.0f}"))
    table("Peak memory of streaming", ("", f"{n:,} images", f"{4 * n:,} images", "growth"), rows)
    write("streaming", {task: {str(k): v for k, v in p.items()} for task, p in found.items()})
    if too_much:
        sys.exit("Streaming is not bounded:\n" + "\n".join(too_much))


if __name__ == "__main__":
    if "--worker" in sys.argv:
        serve(answer)
    else:
        main()
