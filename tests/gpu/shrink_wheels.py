"""Make the wheels in a folder smaller: compressed by LZMA, and without what nobody here reads.

    python tests/gpu/shrink_wheels.py FOLDER

pip and `python -m zipfile` read such wheels as they read others.
"""

import sys
from pathlib import Path, PurePosixPath
from zipfile import ZIP_LZMA, ZipFile


def is_needed(file: PurePosixPath) -> bool:
    """Say no to a package's own tests, and to a pair of photos for stereo vision of 2.4 MB."""
    return "tests" not in file.parts[:-1] and not file.name.startswith("motorcycle_")


def shrink(wheel: Path) -> None:
    """Write the wheel anew under its name."""
    part = wheel.with_suffix(".part")
    with ZipFile(wheel) as old, ZipFile(part, "w") as new:
        for file in old.infolist():
            if is_needed(PurePosixPath(file.filename)):
                new.writestr(file, old.read(file), ZIP_LZMA)
    part.replace(wheel)


if __name__ == "__main__":
    for path in sorted(Path(sys.argv[1]).glob("*.whl")):
        shrink(path)
