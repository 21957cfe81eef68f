"""The commands `transferlab class …`. Each imports what it needs itself, so that help is fast."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from transferlab.errors import InputError

if TYPE_CHECKING:
    from transferlab.kit.classroom.records import Marking, Records, Submission
    from transferlab.kit.classroom.roster import Student

commands = typer.Typer(
    help="Collect, mark and give back the exercises of a class. Only git repositories and clusters "
    "need a network.\n\n"
    "Every command ends with 0, with 1 when something needs a person, with 2 on bad input.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

LATE = "late, or time not known"
WHERE = "Where the class stands: transferlab class status {}"

Chapter = Annotated[str, typer.Argument(help="A chapter with exercises, such as 02_concepts.")]
Who = Annotated[str, typer.Argument(metavar="STUDENT", help="Id, e-mail address or name.")]
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
    late_days: Annotated[
        int | None, typer.Option(min=0, help="Days that each student may be late, in all [0].")
    ] = None,
) -> None:
    """Make the folder of a class from its roster, or add new students to it.

    The folder holds everything about the class: what was handed in, and the record class.db. It
    belongs to nobody but you; Git ignores it. The roster may be the export of Moodle's
    participants, in English or German, or of Canvas' gradebook. Where an id is empty, the e-mail
    address is the id. Students who are no longer in it stay in the record.

    \b
    Examples:
      transferlab class init physics-24 --roster roster.csv
      transferlab class init physics-24 --roster roster.csv --late-days 3
    """
    from transferlab.kit.classroom.deadlines import LATE_DAYS
    from transferlab.kit.classroom.records import Records
    from transferlab.kit.classroom.roster import read_roster

    students, folder = read_roster(roster, print), Path(name)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; expected a new name, or the folder of a class.")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / ".gitignore").write_text("*\n")
    with Records(folder, may_create=True) as records:
        new = records.add_students(students)
        if late_days is not None:
            records.set(LATE_DAYS, {"days": late_days})
        print(f"{folder}: {len(records.students())} students, {new} of them new, such as")
        print("\n".join(f"  {s.name} · {s.id} · {s.email}" for s in students[:3]))


@commands.command()
def release(
    chapter: Chapter,
    due: Annotated[
        str | None, typer.Option(help="Such as 2026-12-01T23:59, in this machine's time.")
    ] = None,
    grace: Annotated[
        float | None, typer.Option(min=0, help="Minutes after it that are not late [0].")
    ] = None,
    counts: Annotated[
        str | None, typer.Option(help="Which submission counts: last or best [last].")
    ] = None,
    to: Annotated[
        Path | None, typer.Option(help="The students' zip file, else in the class's folder.")
    ] = None,
    folder: Class = Path(),
    course: Course = Path("course"),
    solutions: Solutions = Path("solutions"),
) -> None:
    """Pack a chapter for the students, and say until when it is to be handed in.

    A student has late days, see `init`: each day that was begun after the due date uses up one.
    What comes later still gives no points until you `accept` it; what was handed in before counts
    instead, if there is something. Call it again to change the date: nothing is lost.

    \b
    Examples:
      transferlab class release 02_concepts --due 2026-12-01
      transferlab class release 02_concepts --due 2026-12-01T18:00 --grace 15 --counts best
    """
    from dataclasses import replace

    from transferlab.kit.classroom.deadlines import read_time, rules_of, set_rules
    from transferlab.kit.classroom.edition import read_edition
    from transferlab.kit.classroom.export import worth_of
    from transferlab.kit.classroom.release import write_bundle

    with _open_class(folder) as records:
        edition, rules = read_edition(course, solutions, chapter), rules_of(records, chapter)
        given = {"due": read_time(due) if due else None, "grace": grace, "counts": counts}
        rules = replace(rules, **{n: value for n, value in given.items() if value is not None})
        to = to or records.folder / f"{chapter}.zip"
        write_bundle([chapter], to, course, solutions)
        set_rules(records, chapter, rules)
    print(f"For the students: {to}\nFor the platform: an upload of exercises.ipynb,")
    print(f"{worth_of(edition):g} points, {rules}.")


@commands.command()
def collect(
    chapter: Chapter,
    source: Annotated[
        Path,
        typer.Argument(
            help="A folder, a zip file from Moodle or Canvas, or a table of git repositories."
        ),
    ],
    times: Annotated[
        Path | None,
        typer.Option(help="A CSV file that says who handed in when: Moodle's grading worksheet."),
    ] = None,
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

    Or it is a CSV file with the headings id, repository and perhaps branch: https or ssh addresses,
    or folders. Of each, the newest commit is read, and nothing is checked out. Git uses your keys:
    when students gave the addresses, look that none is a place that only you may read. A commit's
    date can be forged to be early, so only a late one counts: then it was handed in late. Else,
    without --times, the time of collecting counts: collect right after the due date, within the
    grace of `release`.

    Collect as often as you like: what is known stays, a resubmission is kept beside the older one,
    and the newest counts, or the best: see `release`. With a due date, name a table of times, or
    collect once when it has passed: what is new after that is listed as "time not known".

    \b
    Examples:
      transferlab class collect 02_concepts downloads.zip --dry-run
      transferlab class collect 02_concepts downloads.zip
      transferlab class collect 02_concepts downloads.zip --times worksheet.csv
      transferlab class collect 02_concepts repositories.csv
    """
    from transferlab.kit.classroom.collect import collect as take_over
    from transferlab.kit.classroom.deadlines import counted, read_times
    from transferlab.kit.classroom.edition import read_edition

    with _open_class(folder) as records:
        edition = read_edition(course, solutions, chapter)
        when = read_times(times, records.students()) if times else {}
        ids = edition.grade_ids
        done = take_over(records, chapter, source, ids, when, dry_run=dry_run, tell=_tell)
        counts = {} if dry_run else counted(records, chapter)
        names = {student.id: student.name for student in records.students()}
        late = [f"{names[who]}: {one.late}" for who, one in counts.items() if one.late]
    _tell("")
    print("Nothing was written; this would happen." if dry_run else f"Collected from {source}.")
    for what, found in (
        ("new", done.new),
        ("resubmitted", done.resubmitted),
        ("known already", done.known),
        ("refused", done.refused),
        ("could not be had", done.not_had),
        ("whose is it", done.unknown),
        ("notes", done.notes),
        (LATE, late),
        ("still missing", done.missing),
    ):
        _list(what, found)
    raise typer.Exit(1 if done.refused or done.not_had or done.unknown else 0)


@commands.command()
def mark(
    chapter: Chapter,
    jobs: Annotated[int, typer.Option(min=1, help="Submissions at once.")] = 1,
    on: Annotated[
        str | None,
        typer.Option(help="A dask scheduler, tls://… or on this machine: its workers mark."),
    ] = None,
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
      transferlab class mark 02_concepts --on tls://10.0.0.5:8786
    """
    from transferlab.kit.classroom.edition import check_fresh, read_edition
    from transferlab.kit.classroom.marking import Progress, mark_class, unmarked
    from transferlab.kit.classroom.sandbox import Limits, find_sandbox
    from transferlab.kit.classroom.written import carry_over

    def tell(progress: Progress) -> None:
        _tell(progress.line())

    with _open_class(folder) as records:
        edition = read_edition(course, solutions, chapter)
        check_fresh(course, solutions, chapter)
        if not unmarked(records, edition):  # to try a sandbox takes seconds
            print(f"Everything is marked.\n{WHERE.format(chapter)}")
            return
        sandbox = None if on else find_sandbox(unsafe)
        print(f"Sandbox: {sandbox.name if sandbox else 'that of each worker'}")
        try:
            progress = mark_class(records, edition, sandbox, Limits(), jobs, tell, on)
        except KeyboardInterrupt:
            print("\nStopped; what is marked is recorded. The same command goes on.")
            raise typer.Exit(130) from None
        carried = carry_over(records, edition)
    print()
    if carried:
        print(f"written answers that are as before, with their points: {carried}")
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
    is not the same as 0 points. "waiting" is a written answer without points, "withheld" a check
    that has passed and is flagged: see `written`, `accept` and `points`. The same as a page, with
    all notes: CLASS/CHAPTER.html.

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


@commands.command()
def written(
    chapter: Chapter,
    csv: Annotated[Path | None, typer.Option(help="The table, else in the class's folder.")] = None,
    formgrader: Annotated[
        bool, typer.Option("--formgrader", help="A folder for nbgrader's formgrader instead.")
    ] = False,
    take: Annotated[
        Path | None, typer.Option(help="Take the points of a table, or of formgrader's folder.")
    ] = None,
    folder: Class = Path(),
    course: Course = Path("course"),
    solutions: Solutions = Path("solutions"),
) -> None:
    """Give points for the written answers: a table to fill in, and a page to read beside it.

    Names are hidden, and the order is nobody's. The page has each answer beside its mark scheme;
    nothing in it runs. Write half or whole points and a comment into the table, in any program, and
    take it back. An empty row changes nothing; a faulty one gets a sentence, and then nothing is
    taken. Points stay when the class is marked again; an answer that was changed in a resubmission
    asks again, and shows the old ones.

    Or use nbgrader's formgrader: its folder holds rebuilt notebooks in which nothing runs.

    \b
    Examples:
      transferlab class written 02_concepts
      transferlab class written 02_concepts --take physics-24/02_concepts_written.csv
      transferlab class written 02_concepts --formgrader
      transferlab class written 02_concepts --take physics-24/02_concepts_formgrader
    """
    from transferlab.kit.classroom import formgrader as nbgraders
    from transferlab.kit.classroom.edition import read_edition
    from transferlab.kit.classroom.written import read_points, write_answers

    with _open_class(folder) as records:
        edition = read_edition(course, solutions, chapter)
        if take:
            read = nbgraders.read_course if take.is_dir() else read_points
            decided = read(records, edition, take)
            records.add_decisions(decided)
            print(f"Taken: {len(decided)} answers.\n{WHERE.format(chapter)}")
            return
        if formgrader:
            place = (csv or records.folder / f"{chapter}_formgrader").resolve()
            print(f"Submissions: {nbgraders.write_course(records, edition, place)} in {place}")
            print(f"Open it: cd '{place}' && '{sys.executable}' -m jupyter lab")
            print("In the menu Nbgrader: Formgrader, then Manual Grading. Close it when done.")
            print(f"Then: transferlab class written {chapter} --take '{place}'")
            return
        table = csv or records.folder / f"{chapter}_written.csv"
        left = write_answers(records, edition, table)
    print(f"Answers without points: {len(left)}\nTo fill in: {table}")
    print(f"To read beside it: {table.with_suffix('.html')}")
    print(f"Then: transferlab class written {chapter} --take {table}")


@commands.command()
def points(
    chapter: Chapter,
    student: Who,
    check: Annotated[str, typer.Argument(help="A check or written answer, as status names it.")],
    given: Annotated[float, typer.Argument(metavar="POINTS", help="Half or whole points.")],
    comment: Annotated[
        str | None,
        typer.Option(help="What the student reads beside the points [the comment that is there]."),
    ] = None,
    folder: Class = Path(),
) -> None:
    """Give points by hand: for a written answer, in part for a check, or 0 for a flagged one.

    They count instead of what the marking gave, and stay when the class is marked again. Flags and
    "please look" of this check then need no `accept`. A resubmission asks again.

    \b
    Examples:
      transferlab class points 02_concepts s001 five_definitions 2.5
      transferlab class points 02_concepts s001 snapshot_check 0 --comment "This is no copy."
    """
    from transferlab.kit.classroom.decisions import check_points
    from transferlab.kit.classroom.records import Decision

    with _open_class(folder) as records:
        submission, marking = _marked(records, chapter, student)
        checks = {found.name: found for found in marking.checks}
        if check not in checks:
            names = ", ".join(checks) or "nothing: it could not be marked; see `accept`"
            raise InputError(f"{chapter} has no {check!r} for {student}; there is {names}.")
        check_points(checks[check], given)
        said = [d.comment for d in records.decisions(submission) if d.name == check]
        comment = "".join(said[-1:]) if comment is None else " ".join(comment.split())
        records.add_decisions([(submission, Decision(check, given, comment))])
    print(f"{check}: {given:g} of {checks[check].worth:g} points by hand.")


@commands.command()
def accept(chapter: Chapter, student: Who, folder: Class = Path()) -> None:
    """Say that you have looked at a student's flags: the points that were withheld count.

    A submission that could not be marked, such as "unreadable" or "timed out", then counts with the
    points that it has: 0. To see an answer: `feedback --student`. To give other points than the
    marking did: `points`.

    \b
    Example:
      transferlab class accept 02_concepts s001
    """
    from transferlab.kit.classroom.decisions import decided, open_flags
    from transferlab.kit.classroom.records import Decision
    from transferlab.kit.classroom.status import NEEDS_A_PERSON, QUIET

    with _open_class(folder) as records:
        submission, marking = _marked(records, chapter, student)
        looked_at = open_flags(marking, records.decisions(submission))
        looked_at += [marking.status] if marking.status in NEEDS_A_PERSON else []
        if looked_at:
            records.add_decisions([(submission, Decision(released=tuple(looked_at)))])
        checks = decided(marking, records.decisions(submission)).checks
    print("\n".join(f"accepted: {flag}" for flag in looked_at) or "There is nothing to accept.")
    for check in checks if looked_at else ():
        if check.status not in QUIET:
            print(f"{check.name} stays at 0 of {check.worth:g} ({check.status}); see `points`.")


@commands.command()
def merge(
    others: Annotated[
        list[Path],
        typer.Argument(metavar="OTHER…", help="The folder of the class on another machine."),
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would happen.")] = False,
    folder: Class = Path(),
) -> None:
    """Bring together a class that was collected, marked or given points on several machines.

    Copy the class's folder of the other machine to a place outside your own, and name it. What it
    has and yours lacks is taken over: students, submissions, markings, points by hand. It is never
    changed, and to merge it again changes nothing. Merge in both directions, and both machines say
    the same. Where a name, a due date or the late days differ, yours stay, and a line says so.
    Where both gave points or comments for one check, the later ones count: each is listed, with
    --dry-run too. What differs needs a person, so the command then ends with 1.

    A table or formgrader's folder from `written` is taken back where it was made: do that first.

    \b
    Examples:
      transferlab class merge /media/usb/physics-24 --dry-run
      transferlab class merge /media/usb/physics-24
      transferlab class merge ~/from-ada/physics-24 ~/from-bo/physics-24
    """
    from transferlab.kit.classroom.merging import merge as take_over

    differ = 0
    if dry_run:
        print("Nothing was written; this would happen.")
    with _open_class(folder) as records:
        for other in others:
            done = take_over(records, other, dry_run=dry_run)
            new = ", ".join(f"{kind} {count}" for kind, count in done.new.items() if count)
            print(f"From {other}: {f'new {new}' if new else 'nothing new'}.")
            _list("yours stay", done.ours_stays)
            _list("points given on both", done.given_on_both)
            differ += len(done.ours_stays) + len(done.given_on_both)
    raise typer.Exit(1 if differ else 0)


@commands.command()
def feedback(
    chapter: Chapter,
    to: Annotated[Path | None, typer.Option(help="The folder, else in the class's.")] = None,
    student: Annotated[str, typer.Option(help="Only this one: id, e-mail or name.")] = "",
    folder: Class = Path(),
    course: Course = Path("course"),
    solutions: Solutions = Path("solutions"),
) -> None:
    """Write a page for each student: the answers, what became of them, your comments.

    No hidden test, no solution, nobody else's data, no script. Beside the folder lies a zip file:
    Moodle takes it ("Upload multiple feedback files in a zip"), and Canvas ("Upload submissions"),
    when the submissions came from their download. Else there is a folder for each student, named by
    the id; give each student only their own.

    \b
    Example:
      transferlab class feedback 02_concepts
    """
    from transferlab.kit.classroom.edition import read_edition
    from transferlab.kit.classroom.feedback import write_feedback
    from transferlab.kit.classroom.status import standings

    with _open_class(folder) as records:
        edition = read_edition(course, solutions, chapter)
        found = standings(records, chapter)
        if student:
            wanted = _student(records, student)
            found = [one for one in found if one.student == wanted]
        to = to or records.folder / "feedback" / f"{chapter}{'_one' * bool(student)}"
        pages, without = write_feedback(records, edition, found, to)
    print(f"Pages: {len(pages)} in {to}, and all of them in {to}.zip")
    if student:
        print("\n".join(map(str, pages)))
    _list("no page", without)
    waiting = [one.student.name for one in found if one.marking and one.needs_a_person]
    _list("not final yet; their pages say so", waiting)
    raise typer.Exit(1 if waiting else 0)


@commands.command()
def export(
    chapter: Chapter,
    to: Annotated[Path | None, typer.Option(help="A new table, .csv or .json.")] = None,
    into: Annotated[Path | None, typer.Option(help="Moodle's or Canvas' own export.")] = None,
    column: Annotated[str, typer.Option(help="With --into: the heading of the grades.")] = "",
    final: Annotated[
        bool, typer.Option("--final", help="Write nothing while something is not final.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would happen.")] = False,
    folder: Class = Path(),
    course: Course = Path("course"),
    solutions: Solutions = Path("solutions"),
) -> None:
    """Write the grades as a table, or fill them into the file that your platform has exported.

    Moodle: "Download grading worksheet", or the export of the gradebook; Canvas: "Export entire
    gradebook". The file is changed in place, so keep a copy; only cells with a new grade change.
    Upload it as it is. Who is missing, or not marked, or waits for you, has no grade: that is not a
    0. The status in the table says why.

    \b
    Examples:
      transferlab class export 02_concepts --to grades.csv
      transferlab class export 02_concepts --into moodle.csv --dry-run
      transferlab class export 02_concepts --into canvas.csv --column "Exercises 2"
    """
    from transferlab.files import written_whole
    from transferlab.kit.classroom import export as grades
    from transferlab.kit.classroom.edition import read_edition
    from transferlab.kit.classroom.marking import unmarked
    from transferlab.kit.classroom.status import standings

    if (to is None) == (into is None):
        raise InputError("where to? Name a new table with --to, or your platform's with --into.")
    with _open_class(folder) as records:
        edition = read_edition(course, solutions, chapter)
        found = standings(records, chapter)
        stale = len(unmarked(records, edition))
    left = [f"{one.student.name}: {one.state}" for one in found if one.needs_a_person]
    if final and left:
        raise InputError(f"not final, nothing was written: {'; '.join(left)}.")
    content, lines = grades.fill_in(found, edition, into, column) if into else (b"", {})
    for what, said in lines.items():
        _list(what, said)
    _list("not final", left)
    _list(LATE, [f"{one.student.name}: {one.late}" for one in found if one.late])
    if stale:
        print(f"\nto be marked, or marked again: {stale}; see `mark`")
    if dry_run:
        print("\nNothing was written; this would happen.")
    elif into:
        with written_whole(into) as unfinished:
            unfinished.write_bytes(content)
        new = sum(len(said) for what, said in lines.items() if what.endswith(grades.NEW))
        print(f"\nWritten: {into}, {new} grades")
    elif to:
        grades.write_grades(found, edition, to)
        print(f"Written: {to}, {len(found)} students")
    raise typer.Exit(1 if left or lines.get(grades.NOT_THERE) else 0)


@commands.command()
def similar(
    chapter: Chapter,
    at_least: Annotated[
        float, typer.Option(min=0, max=1, help="The share of the shorter one that both have.")
    ] = 0.5,
    folder: Class = Path(),
    course: Course = Path("course"),
    solutions: Solutions = Path("solutions"),
) -> None:
    """Show pairs of students whose answers are alike: a reason to look, and never a proof.

    Names, comments and layout do not count; nor does what was handed out, or what more than a tenth
    of the class (and at least two) has written; so of a small class, what three have alike does not
    show. Short exercises have few solutions: honest answers can be alike.

    \b
    Example:
      transferlab class similar 02_concepts
    """
    from transferlab.kit.classroom.edition import read_edition
    from transferlab.kit.classroom.similar import similar as alike

    with _open_class(folder) as records:
        pairs, most = alike(records, read_edition(course, solutions, chapter), at_least)
    for pair in pairs:
        both = f"{pair.shared} of {pair.of} fingerprints"
        print(f"{pair.one.name} · {pair.other.name}: {both}, in {', '.join(pair.exercises)}")
    nobody = f"No pair is alike, apart from what more than {most} students have in common (a "
    nobody += f"group of {most + 1} or more does not show)."
    print("Please look at both answers." if pairs else nobody)
    raise typer.Exit(1 if pairs else 0)


def _tell(line: str) -> None:
    """Show how far it is: in a terminal in one line, which an empty one ends, else in many."""
    if sys.stdout.isatty():
        print(f"\r\033[K{line}", end="", flush=True)
    elif line:
        print(line, flush=True)


def _list(what: str, lines: list[str]) -> None:
    if lines:
        print(f"\n{what}: {len(lines)}")
        print("\n".join(f"  {line}" for line in lines))


def _student(records: "Records", text: str) -> "Student":
    """Return the student that a text names: by id, e-mail address or name."""
    from transferlab.kit.classroom.roster import find_students

    found = find_students(records.students(), text)
    if len(found) != 1:
        which = f"{len(found)} students are" if found else "nobody in the class is"
        ids = f"; name one by the id: {', '.join(one.id for one in found)}" * bool(found)
        raise InputError(f"{which} called {text!r}{ids}.")
    return found[0]


def _marked(records: "Records", chapter: str, text: str) -> "tuple[Submission, Marking]":
    """Return the submission of a student that counts, and its marking, without decisions."""
    from transferlab.kit.classroom.deadlines import counted

    if chapter not in (known := records.chapters()):
        there = ", ".join(known) or "none"
        raise InputError(f"nothing was handed in for {chapter!r}; there are {there}.")
    student = _student(records, text)
    if not (one := counted(records, chapter).get(student.id)):
        raise InputError(f"{student.name} has handed in nothing for {chapter}.")
    if not (marking := records.marking(one.submission)):
        raise InputError(f"{student.name} is not marked yet.")
    return one.submission, one.laid_over(marking)


def _open_class(folder: Path) -> "Records":
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
