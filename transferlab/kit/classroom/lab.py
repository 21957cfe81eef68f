"""Open JupyterLab on a lesson: `make lab`, or `python -m transferlab.kit.classroom.lab`.

A student's bundle is set up without the packages of the command `transferlab`.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from transferlab.errors import InputError
from transferlab.kit import kernel
from transferlab.kit.classroom.mycourse import COPY, summary, update_copy
from transferlab.kit.lessons import EXERCISES, OVERVIEW, find_lessons

# Its folder labconfig/ switches off what no student needs: Jupyter's news, nbgrader's panels, the
# buttons of nbdime and jupytext. The user's own settings are read as well, and not changed.
CONFIG = Path(__file__).parent


def open_lab(
    course: Path, name: str = "", originals: bool = False, flags: Sequence[str] = ()
) -> None:
    """Open JupyterLab on the student's copy of a lesson; only this machine can reach it.

    Args:
        course: the folder with one folder per chapter.
        name: the lesson, such as "01_background/01_why_pretrain"; empty means the first one. What
            the student has deleted comes back when it is named.
        originals: open the course itself, with all of JupyterLab, as a teacher does.
        flags: more arguments of JupyterLab.
    """
    lessons = _named(course, name)
    environment = os.environ | kernel.environment()
    if originals:
        root, page = course.resolve().parent, f"{course.resolve().name}/{lessons[0]}"
    else:
        root, page = _own_copy(course, lessons, restore=bool(name))
        paths = [str(CONFIG), os.environ.get("JUPYTER_CONFIG_PATH", "")]
        environment["JUPYTERLAB_WORKSPACES_DIR"] = str(root / ".workspaces")  # its own open tabs
        environment["JUPYTER_CONFIG_PATH"] = os.pathsep.join(filter(None, paths))
    command = [sys.executable, "-m", "jupyterlab", "--ServerApp.ip=127.0.0.1"]
    command += [f"--ServerApp.root_dir={root}", f"--LabApp.default_url=/lab/tree/{page}", *flags]
    _become(command, environment)


def _named(course: Path, name: str) -> list[str]:
    """Return the notebooks that may be opened, as "01_a/01_one.ipynb"; the best one first."""
    name = name.removeprefix(f"{course.name}/").removeprefix(f"{COPY}/").removesuffix(".ipynb")
    page = course / f"{name}.ipynb"
    if page.name in (EXERCISES, OVERVIEW) and page.is_file():
        return [page.relative_to(course).as_posix()]
    lessons = find_lessons(course, [name or "*"], keep_damaged=True)
    return [f"{lesson.name}.ipynb" for lesson in lessons]


def _own_copy(course: Path, lessons: list[str], restore: bool) -> tuple[Path, str]:
    """Bring the student's copy up to date; return its folder and the first lesson that is there."""
    root, happened, troubles = update_copy(course, restore=lessons[0] if restore else "")
    print(summary(root, happened), *troubles, sep="\n", flush=True)
    for lesson in lessons:
        if (root / lesson).is_file():
            return root, lesson
    raise InputError([*troubles, f"{root} holds no lesson; name one to get it back."][0])


def _become(command: list[str], environment: dict[str, str]) -> None:
    """Become JupyterLab: Ctrl-C reaches it directly, and it asks whether to stop."""
    if os.name == "nt":  # there, exec would give the prompt back at once
        sys.exit(subprocess.call(command, env=environment))
    os.execve(sys.executable, command, environment)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m transferlab.kit.classroom.lab",
        description="Open JupyterLab on your copy of a lesson.",
        epilog="Other arguments, such as --no-browser or --port=8899, go to JupyterLab.",
    )
    parser.add_argument("lesson", nargs="?", default="", help="by default the first")
    parser.add_argument("--originals", action="store_true", help="open the course itself")
    arguments, flags = parser.parse_known_args()
    try:
        open_lab(Path("course"), arguments.lesson, arguments.originals, flags)
    except InputError as error:
        print(error, file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
