"""Building the site: collect the sources, then call Sphinx."""

import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from transferlab.errors import InputError
from transferlab.kit.site.launch import read_launch
from transferlab.kit.site.sources import Sources

HERE = Path(__file__).parent
WARNINGS = "warnings.txt"  # what Sphinx has printed
NEEDED = ("sphinx", "myst_nb", "furo", "mathjax")
# Of the package's files only these; they are, byte for byte, those of npm's mathjax 3.2.2.
MATHJAX = ("startup.js", "core.js", "input/tex.js", "output/svg.js", "output/svg/fonts/tex.js")
MATHJAX += ("a11y/assistive-mml.js", "input/tex/extensions/*.js")


def build_site(course: Path, build: Path, launch: str = "") -> Path:
    """Build the site of a course in `build/site`; return its front page.

    `launch` names the branch that will hold the site, see `read_launch`; "" is none.
    """
    for name in NEEDED:
        if find_spec(name) is None:
            raise InputError(f"{name} is not installed; the site needs: pip install -e '.[site]'")
    sources = Sources(course.resolve(), read_launch(launch))
    work, site = build / "site-work", build / "site"
    shutil.rmtree(work, ignore_errors=True)
    _write(sources, work / "pages")
    # A process of its own: autodoc imports the whole package, and docutils keeps what it has read.
    command = [sys.executable, "-m", "sphinx", "--quiet", "--jobs", "auto"]
    command += ["--doctree-dir", work / "doctrees", "--warning-file", work / WARNINGS]
    if subprocess.run([*command, work / "pages", work / "site"], check=False).returncode:
        raise InputError("Sphinx could not build the site; what it printed above says why.")
    shutil.rmtree(site, ignore_errors=True)
    (work / "site").rename(site)
    return site / "index.html"


def _write(sources: Sources, folder: Path) -> None:
    """Write what Sphinx reads into a new folder."""
    mathjax = Path(find_spec("mathjax").submodule_search_locations[0]) / "static/mathjax/es5"
    copies = {"conf.py": HERE / "conf.py", **sources.copies}
    copies |= {f"_static/{file.name}": file for file in (HERE / "static").iterdir()}
    for file in (file for pattern in MATHJAX for file in mathjax.glob(pattern)):
        copies[f"_static/mathjax/{file.relative_to(mathjax).as_posix()}"] = file
    for place in (*sources.texts, *copies, "_extra/any"):
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
    for place, text in sources.texts.items():
        (folder / place).write_text(text, encoding="utf-8", newline="\n")
    for place, file in copies.items():
        shutil.copyfile(file, folder / place)
