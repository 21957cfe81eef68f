"""The command `transferlab`. Each command imports what it needs itself, so that help is fast."""

import ast
import os
import sys
from pathlib import Path
from typing import Annotated

from transferlab.errors import InputError

MISSING = "{name} is not installed; the command needs: pip install -e '.[notebook,teach]'"

try:
    import typer

    from transferlab.kit.classroom import commands as classroom
except ModuleNotFoundError as error:
    sys.exit(MISSING.format(name=error.name))

commands = typer.Typer(
    no_args_is_help=True,
    invoke_without_command=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)
commands.add_typer(classroom.commands, name="class")

Course = Annotated[Path, typer.Option(help="The folder that holds one folder per chapter.")]
Solutions = Annotated[Path, typer.Option(help="The folder with the solved exercises.")]
Build = Annotated[Path, typer.Option(help="The folder for everything that is made.")]
Lessons = Annotated[
    list[str] | None,
    typer.Argument(help="Lessons, chapters or patterns such as '04_code/*'; none means all."),
]
Profile = Annotated[
    str, typer.Option(help="smoke, class or full.", envvar="TRANSFERLAB_PROFILE", show_envvar=True)
]
Device = Annotated[
    str, typer.Option(help="auto, cpu, cuda or mps.", envvar="TRANSFERLAB_DEVICE", show_envvar=True)
]


@commands.callback()
def about(
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    """Run, measure, check and hand out the TransferLab course."""
    if version:
        from importlib.metadata import version as version_of

        print(f"transferlab {version_of('transferlab')}")
        raise typer.Exit


def app() -> None:
    """Run the command; bad input ends in one sentence and the exit code 2."""
    try:
        commands()
    except SystemExit as ended:
        if ended.code in (129, 130, 143):  # a signal; to take torch down would last seconds
            os._exit(ended.code)
        raise
    except InputError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    except OSError as error:  # such as a full disk or a name that is too long
        name = error.filename or "a file"
        print(f"{name} cannot be read or written: {error.strerror or error}.", file=sys.stderr)
        sys.exit(2)
    except ModuleNotFoundError as error:
        if not error.name or error.name.startswith("transferlab"):
            raise
        print(MISSING.format(name=error.name), file=sys.stderr)
        sys.exit(2)


@commands.command()
def run(
    lessons: Lessons = None,
    profile: Profile = "class",
    device: Device = "auto",
    jobs: Annotated[int | None, typer.Option(min=1, help="Lessons at once [one per core].")] = None,
    on: Annotated[
        str | None,
        typer.Option(help="A dask scheduler, tls://… or on this machine: its workers run them."),
    ] = None,
    parameter: Annotated[
        list[str] | None, typer.Option("--set", help="Another parameter, as name=value.")
    ] = None,
    course: Course = Path("course"),
    build: Build = Path("build"),
) -> None:
    """Run lessons headlessly and write a report that grows lesson by lesson.

    Use it before a class, to see that everything works on this machine and how long it takes.

    \b
    Profiles: smoke proves that the lessons run, class is what is taught,
    full takes real data and real weights and may use the network.

    \b
    Examples:
      transferlab run
      transferlab run '04_code/*' --profile smoke
      transferlab run 01_background/01_why_pretrain --set seed=3
      transferlab run --on tls://10.0.0.5:8786
    """
    import time

    from transferlab.kit.lessons import find_lessons

    found = find_lessons(course, lessons or [], keep_damaged=True)  # before torch is imported
    from transferlab.kit.ledger import read_ledger
    from transferlab.kit.progress import cores_used, table
    from transferlab.kit.run import run_lessons

    started = time.perf_counter()
    given = dict(_name_and_value(text) for text in parameter or [])
    usual = {name: entry["seconds"] for name, entry in read_ledger(course).items()}
    if on:
        from transferlab.kit.remote import run_on_cluster

        results = run_on_cluster(on, found, profile, device, given, build, usual)
    else:
        results = run_lessons(
            found, profile, device, given, jobs=jobs, build=build, usual_seconds=usual
        )
    print(f"\n{table(results)}\n\n{cores_used(results, time.perf_counter() - started)}")
    failed = [result for result in results if result.status == "failed"]
    for result in failed:
        print(f"{result.lesson.name} failed: {result.error}")
    print(f"Report: {build / profile / 'report.html'}")
    print("Open the lessons in JupyterLab: make lab (or: transferlab lab)")
    raise typer.Exit(1 if failed else 0)


def _name_and_value(text: str) -> tuple[str, object]:
    name, equals, value = text.partition("=")
    if not (equals and name.isidentifier()):
        raise InputError(f"--set {text!r} is no parameter; expected name=value, such as seed=3.")
    if name in ("profile", "device"):
        raise InputError(f"--set {text!r}: use --{name} instead.")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


@commands.command()
def get(
    to: Annotated[Path, typer.Argument(metavar="FOLDER", help="A new folder, for the course.")],
) -> None:
    """Unpack the course that came with the package, for those who have no clone.

    \b
    Example:
      transferlab get my_course_files
      transferlab lab --course my_course_files
    """
    from transferlab.kit.get import unpack_course

    print(f"{to}: {unpack_course(to)} files\nOpen it: transferlab lab --course '{to}'")


@commands.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def lab(
    context: typer.Context,
    lesson: Annotated[str, typer.Argument(help="The lesson to open [the first].")] = "",
    originals: Annotated[
        bool, typer.Option("--originals", help="Open the course itself, as a teacher.")
    ] = False,
    course: Course = Path("course"),
) -> None:
    """Open JupyterLab on your own copy of a lesson; only this machine can reach it, with a token.

    The copy, my_course/, is made beside the course, without outputs. It is never overwritten: what
    is new in the course is merged into it. A lesson that you have deleted comes back by its name.
    Options that are not listed here go to JupyterLab.

    \b
    Examples:
      transferlab lab
      transferlab lab 04_code/04_resnet50_new_head
      transferlab lab --originals
      transferlab lab --no-browser --port=8899
    """
    from transferlab.kit.classroom.lab import open_lab

    if lesson.startswith("-"):  # an option of JupyterLab, and no lesson
        lesson, context.args = "", [lesson, *context.args]
    open_lab(course, lesson, originals, context.args)


@commands.command()
def ledger(
    lessons: Lessons = None, course: Course = Path("course"), build: Build = Path("build")
) -> None:
    """Time lessons one by one with two threads; write seconds and peak memory into the course.

    Use it after a lesson has changed: it updates course/ledger.json, the line of minutes and
    seconds in each lesson's header, the outputs kept in the notebooks, the maps of the chapters'
    overviews, and the times in course/README.md and course/TEACHING.md.

    \b
    Examples:
      transferlab ledger
      transferlab ledger 01_background
    """
    from transferlab.kit.ledger import update_ledger
    from transferlab.kit.progress import table

    print(f"\n{table(update_ledger(course, lessons or [], build))}")


@commands.command()
def doctor(build: Build = Path("build")) -> None:
    """Check this machine: versions, device, cores, disk, memory, and what works without a network.

    Use it first when something does not work. It ends in OK or in a list of what to do.

    \b
    Example:
      transferlab doctor
    """
    from transferlab.kit.doctor import examine

    to_do = []
    for name, text, sentence in examine(build):
        print(f"{name:19}  {text}", flush=True)
        to_do += [f"{len(to_do) + 1}. {sentence}"] if sentence else []
    print("", *(to_do or ["OK"]), sep="\n")
    raise typer.Exit(1 if to_do else 0)


@commands.command()
def exercises(
    chapters: Annotated[
        list[str] | None, typer.Argument(help="Chapters such as 01_background; none means all.")
    ] = None,
    course: Course = Path("course"),
    solutions: Solutions = Path("solutions"),
) -> None:
    """Generate the student editions of the exercises from the solved ones.

    Use it after changing solutions/NN_chapter/exercises.ipynb. nbgrader takes out solutions, hidden
    tests and marking schemes; course/NN_chapter/exercises.ipynb is replaced. The solved notebook is
    cleaned, and the chapters' maps, course/README.md and course/TEACHING.md get their new points.
    Last, the solved answers are called by the chapter's judge.py, if it has one.

    \b
    Examples:
      transferlab exercises
      transferlab exercises 01_background
    """
    from transferlab.kit.classroom.edition import read_edition
    from transferlab.kit.classroom.judging import check_part
    from transferlab.kit.exercises import write_exercises
    from transferlab.kit.ledger import read_ledger
    from transferlab.kit.pages import write_pages

    written = write_exercises(solutions, course, chapters or [])
    for path in written:
        print(path)
    write_pages(course, read_ledger(course))
    for path in written:
        check_part(read_edition(course, solutions, path.parent.name))


@commands.command()
def site(
    course: Course = Path("course"),
    build: Build = Path("build"),
    launch: Annotated[
        str,
        typer.Option(
            help="The branch on GitHub that will hold the site, for links to Colab and Binder.",
            envvar="TRANSFERLAB_LAUNCH",
            show_envvar=True,
        ),
    ] = "",
) -> None:
    """Build the course as a static site: lessons with their outputs, glossary, search, package.

    Use it to put the course on a web server or a stick. Nothing is run, and no page asks another
    host for anything. Solutions stay out. It takes a minute and needs: pip install -e '.[site]'

    \b
    Examples:
      transferlab site
      transferlab site --launch https://github.com/owner/name/tree/gh-pages
    """
    from transferlab.kit.site.build import build_site

    print(build_site(course, build, launch))


@commands.command()
def slides(
    lessons: Lessons = None, course: Course = Path("course"), build: Build = Path("build")
) -> None:
    """Make a deck of slides for each lesson, in build/slides: pictures, claims, and your notes.

    They need no network: copy the folder to any computer and open index.html. Needs: pip install -e
    '.[site]'

    \b
    Examples:
      transferlab slides
      transferlab slides 04_code
    """
    from transferlab.kit.lessons import find_lessons
    from transferlab.kit.slides.decks import write_decks

    decks = write_decks(find_lessons(course, lessons or []), course, build / "slides")
    print(f"{len(decks)} decks: {build / 'slides' / 'index.html'}")


@commands.command()
def handouts(
    lessons: Lessons = None, course: Course = Path("course"), build: Build = Path("build")
) -> None:
    """Print lessons and exercises of the site as PDF files, in build/handouts.

    Make the site first. Needs Chromium or Chrome.

    \b
    Examples:
      transferlab site && transferlab handouts
      transferlab handouts 04_code
    """
    from transferlab.kit.lessons import EXERCISES, find_lessons
    from transferlab.kit.slides.handouts import write_handouts

    found = find_lessons(course, lessons or [])
    chapters = {lesson.path.parent: None for lesson in found}
    names = [lesson.name for lesson in found]
    names += [f"{c.name}/exercises" for c in chapters if (c / EXERCISES).is_file()]
    files = write_handouts(names, build / "site" / course.name, build / "handouts")
    print(f"{len(files)} files in {build / 'handouts'}")


@commands.command()
def pretrain(
    name: Annotated[str, typer.Argument(help="A shipped name, such as letters or letters_vgg16.")],
    to: Annotated[
        Path | None,
        typer.Option(
            help="The folder to write to; by default the package's own. "
            "Needed with other steps, another seed or device."
        ),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Gradient steps, when not the recipe's.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Fixes everything random.")] = 0,
    device: Annotated[str, typer.Option(help="cpu, cuda, mps or auto.")] = "cpu",
) -> None:
    """Rebuild a shipped checkpoint: pre-train the network, write the weights and their card.

    Use it to see that nothing is hidden in the weights, or to try another number of steps.
    With two cores, letters takes about three minutes and the others, of 32×32 pixels, about six.

    \b
    Examples:
      transferlab pretrain letters --to my_weights
      transferlab pretrain letters --to my_weights --steps 100
    """
    from transferlab.files import check_writable
    from transferlab.recipes import RECIPES, make_checkpoint

    usual = (None, RECIPES[name].steps) if name in RECIPES else (steps,)
    if to is None and (steps not in usual or seed != 0 or device != "cpu"):
        raise InputError(
            "with other steps, another seed or another device, --to must name a folder: without it "
            "the shipped weights would be replaced."
        )
    if to is not None and name in RECIPES:  # an unknown one is named first
        check_writable(to / f"{name}.safetensors")
    print(make_checkpoint(name, to, steps=steps, seed=seed, device=device))


@commands.command()
def release(
    chapters: Annotated[list[str], typer.Argument(help="Chapters such as 01_background.")],
    to: Annotated[Path, typer.Option(help="The zip file to write.")],
    course: Course = Path("course"),
    solutions: Solutions = Path("solutions"),
) -> None:
    """Pack chapters for students into one zip file, without any solutions.

    Students unpack it and type `make lab`, or follow its README.md.

    \b
    Example:
      transferlab release 01_background 04_code --to bundle.zip
    """
    from transferlab.kit.classroom.release import write_bundle

    names, left_out = write_bundle(chapters, to, course, solutions)
    print(f"{to}: {len(names)} files")
    if left_out:
        print(f"left out: {', '.join(left_out)}")
