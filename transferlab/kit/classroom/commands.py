"""The commands `transferlab class …`. Each imports what it needs itself, so that help is fast."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from transferlab.errors import InputError

commands = typer.Typer(
    help="Collect, mark and survey the exercises of a class, without a network.\n\n"
    "Every command ends with 0, with 1 when something needs a person, with 2 on bad input.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

WHERE = "Where the class stands: transferlab class status {}"

Chapter = Annotated[str, typer.Argument(help="A chapter with exercises, such as 02_concepts.")]
Class = Annotated[
    Path,
    typer.Option(
        "--class", help="The class's folder, or the folder that holds it, when it is the only one."
    ),
]
Course = Annotated[Path, typer.Option(help="The folder that holds one folder per chapter.")]
Solutions = Annotated[Path, typer.Option(help="The folder with the solved exercises.")]


@commands.command()
def init(
    name: Annotated[str, typer.Argument(help="The class's folder; it is made if need be.")],
    roster: Annotated[Path, typer.Option(help="A CSV file: id, name, e-mail; one row a student.")],
) -> None:
    """Make the folder of a class from its roster, or add new students to it.

    The folder holds everything about the class: what was handed in, and the record class.db. It
    belongs to nobody but you; Git ignores it. The roster may be the export of Moodle's
    participants or of Canvas' gradebook. Students who are no longer in it stay in the record.

    \b
    Example:
      transferlab class init physics-24 --roster roster.csv
    """
    from transferlab.kit.classroom.records import Records
    from transferlab.kit.classroom.roster import read_roster

    students, folder = read_roster(roster), Path(name)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; expected a new name, or the folder of a class.")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / ".gitignore").write_text("*\n")
    with Records(folder, may_create=True) as records:
        new = records.add_students(students)
        print(f"{folder}: {len(records.students())} students, {new} of them new, such as")
        print("\n".join(f"  {s.name} · {s.id} · {s.email}" for s in students[:3]))


@commands.command()
def collect(
    chapter: Chapter,
    source: Annotated[Path, typer.Argument(help="A folder, or a zip file from Moodle or Canvas.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would happen.")] = False,
    folder: Class = Path(),
    course: Course = Path("course"),
    solutions: Solutions = Path("solutions"),
) -> None:
    """Take over what students have handed in. Nothing of it is executed.

    SOURCE is the download of all submissions of Moodle or Canvas, a zip file or unpacked, or a
    folder with one folder for each student, named by id, name or e-mail address. Files may be
    renamed, lie deeper, in a zip file, or twice: the newest notebook of the chapter counts. Links,
    paths that lead elsewhere and more than 20 MB are refused, and listed.

    Collect as often as you like: what is known stays, a resubmission is kept beside the older one,
    and the newest counts.

    \b
    Examples:
      transferlab class collect 02_concepts downloads.zip --dry-run
      transferlab class collect 02_concepts downloads.zip
    """
    from transferlab.kit.classroom.collect import collect as take_over
    from transferlab.kit.classroom.edition import read_edition

    with _open_class(folder) as records:
        edition = read_edition(course, solutions, chapter)
        done = take_over(records, chapter, source, edition.grade_ids, dry_run=dry_run)
    print("Nothing was written; this would happen." if dry_run else f"Collected from {source}.")
    for what, found in (
        ("new", done.new),
        ("resubmitted", done.resubmitted),
        ("known already", done.known),
        ("refused", done.refused),
        ("whose is it", done.unknown),
        ("notes", done.notes),
        ("still missing", done.missing),
    ):
        if found:
            print(f"\n{what}: {len(found)}")
            print("\n".join(f"  {line}" for line in found))
    raise typer.Exit(1 if done.refused or done.unknown else 0)


@commands.command()
def mark(
    chapter: Chapter,
    jobs: Annotated[int, typer.Option(min=1, help="Submissions at once.")] = 1,
    unsafe: Annotated[
        bool,
        typer.Option(
            "--unsafe",
            help="Run students' code without a sandbox, as you: it can read and change whatever "
            "you can. Only on a machine that can lose everything.",
        ),
    ] = False,
    folder: Class = Path(),
    course: Course = Path("course"),
    solutions: Solutions = Path("solutions"),
) -> None:
    """Mark what counts of every student and is not marked yet.

    Each submission is rebuilt first: the released notebook with the student's answers, all else
    from the source. It runs in a sandbox of its own, and is recorded when it has ended. Cut off?
    The same command goes on. A resubmission, or a check that you have corrected (then `transferlab
    exercises`)? The same command marks again what that concerns.

    \b
    Examples:
      transferlab class mark 02_concepts
      transferlab class mark 02_concepts --jobs 4
    """
    from transferlab.kit.classroom.edition import check_fresh, read_edition
    from transferlab.kit.classroom.marking import Progress, mark_class, unmarked
    from transferlab.kit.classroom.sandbox import Limits, find_sandbox

    def tell(progress: Progress) -> None:
        if sys.stdout.isatty():
            print(f"\r\033[K{progress.line()}", end="", flush=True)
        else:
            print(progress.line(), flush=True)

    with _open_class(folder) as records:
        edition = read_edition(course, solutions, chapter)
        check_fresh(course, solutions, chapter)
        if not unmarked(records, edition):  # to try a sandbox takes seconds
            print(f"Everything is marked.\n{WHERE.format(chapter)}")
            return
        sandbox = find_sandbox(unsafe)
        print(f"Sandbox: {sandbox.name}")
        try:
            progress = mark_class(records, edition, sandbox, Limits(), jobs, tell)
        except KeyboardInterrupt:
            print("\nStopped; what is marked is recorded. The same command goes on.")
            raise typer.Exit(130) from None
    print()
    for line in progress.not_marked:
        print(f"not marked: {line}")
    print(WHERE.format(chapter))
    odd = set(progress.counts) - {"graded"}
    raise typer.Exit(1 if odd or progress.not_marked else 0)


@commands.command()
def status(
    chapter: Chapter,
    folder: Class = Path(),
    course: Course = Path("course"),
    solutions: Solutions = Path("solutions"),
) -> None:
    """Show where the class stands: each student, each exercise, and what waits for you.

    A student who handed in nothing is "missing", one whose file cannot be read "unreadable": that
    is not the same as 0 points. The same as a page, with all notes: CLASS/CHAPTER.html.

    \b
    Example:
      transferlab class status 02_concepts
    """
    from rich.console import Console

    from transferlab.kit.classroom import status as standing
    from transferlab.kit.classroom.edition import read_edition
    from transferlab.kit.notebooks import write_text

    with _open_class(folder) as records:
        edition = read_edition(course, solutions, chapter)
        found = standing.standings(records, chapter)
        path = records.folder / f"{chapter}.html"
    console = Console(highlight=False, markup=False, emoji=False)
    print(standing.summary(found))
    console.print(standing.table(standing.student_rows(found)))
    console.print(standing.table(standing.exercise_rows(found, edition)))
    write_text(path, standing.page(found, edition))
    print(f"With all notes: {path}")
    raise typer.Exit(1 if any(one.needs_a_person for one in found) else 0)


def _open_class(folder: Path):
    """Return the records of a class: of this folder, or of the only class in it."""
    from transferlab.kit.classroom.records import FILE, Records

    if not (folder / FILE).is_file():
        found = sorted(path.parent for path in folder.glob(f"*/{FILE}"))
        if len(found) > 1:
            names = ", ".join(path.name for path in found)
            raise InputError(
                f"there are {len(found)} classes here, {names}; name one with --class."
            )
        folder = found[0] if found else folder
    return Records(folder)
