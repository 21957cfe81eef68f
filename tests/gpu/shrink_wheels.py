"""Make the wheels in a folder smaller: without their own tests, and compressed by LZMA.

    python tests/gpu/shrink_wheels.py FOLDER

pip reads such wheels as it reads others.
"""

import sys
from pathlib import Path, PurePosixPath
from zipfile import ZIP_LZMA, ZipFile


def shrink(wheel: Path) -> None:
    """Write the wheel anew under its name."""
    part = wheel.with_suffix(".part")
    with ZipFile(wheel) as old, ZipFile(part, "w") as new:
        for file in old.infolist():
            if "tests" not in PurePosixPath(file.filename).parts[:-1]:
                new.writestr(file, old.read(file), ZIP_LZMA)
    part.replace(wheel)


if __name__ == "__main__":
    for path in sorted(Path(sys.argv[1]).glob("*.whl")):
        shrink(path)
