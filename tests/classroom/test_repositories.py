"""Collecting from git repositories: what is taken, and what a stranger's repository cannot do."""

import json
import os
import subprocess
import time
import zipfile
from pathlib import Path

import psutil
import pytest
from toy_class import CHAPTER, content

from transferlab.errors import InputError
from transferlab.kit.classroom import repositories
from transferlab.kit.classroom.collect import Collected, collect
from transferlab.kit.classroom.deadlines import Rules, counted, set_rules
from transferlab.kit.classroom.records import Records

IDS = ["double", "halve"]
NOTEBOOK = json.dumps({"cells": [{"metadata": {"grade_id": "double"}}], "nbformat": 4}).encode()
OTHER = json.dumps({"cells": [{"metadata": {"nbgrader": {"grade_id": "freeze"}}}]}).encode()
# What git asks of a server runs here, and is kept.
SSH = '#!/bin/sh\necho "$0" "$@" >> {0}/said\nfor last; do :; done\nexec sh -c "$last"\n'
pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs Linux or macOS")


@pytest.fixture(autouse=True)
def nobodys_settings(tmp_path, monkeypatch):
    """No setting of the machine's counts, nor of a hook that runs this; a commit has a name."""
    for name in list(os.environ):
        if name.startswith("GIT_") or name == "XDG_CONFIG_HOME":
            monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".gitconfig").write_text("[user]\nname = a\nemail = a@b\n")


def git(place: Path, *arguments: str, said: str = "") -> str:
    done = subprocess.run(
        ["git", "-C", place, *arguments], input=said, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def commit(place: Path, **files: bytes) -> Path:
    """Write files into a repository, which is made if need be, and commit all of it."""
    if not place.exists():
        place.mkdir(parents=True)
        git(place, "init", "-q", "-b", "main")
    for name, data in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(data)
    git(place, "add", "--all")
    git(place, "commit", "-q", "--allow-empty", "-m", "work")
    return place


def table(tmp_path: Path, *rows: object, headings: str = "id,repository") -> Path:
    path = tmp_path / "repositories.csv"
    path.write_text("\n".join([headings, *map(str, rows)]))
    return path


def taken(records: Records, tmp_path: Path, *rows: object, **options) -> Collected:
    return collect(records, CHAPTER, table(tmp_path, *rows), IDS, **options)


def current(records: Records, student: str = "s1"):
    return counted(records, CHAPTER)[student].submission


# ---- what is taken -------------------------------------------------------------------------------


def test_the_chapters_notebook_of_the_newest_commit_is_taken(records, tmp_path):
    place = commit(tmp_path / "mara", **{"01/exercises.ipynb": b"{}"})
    more = {"01/exercises.ipynb": NOTEBOOK, "02/exercises.ipynb": OTHER, "README.md": b"Mine"}
    more |= {f"lesson {n}.ipynb": b" " * (9 << 20) + b"%d" % n for n in range(3)}
    commit(place, **more, **{".ipynb_checkpoints/exercises.ipynb": NOTEBOOK + b" "})
    done = taken(records, tmp_path, f"s1,{place}")
    assert (len(done.new), done.refused, done.not_had, done.notes) == (1, [], [], [])
    assert done.missing == ["Bo Li", "Ada"]
    short = git(place, "rev-parse", "HEAD")[:10]
    assert current(records).file == f"s1/commit {short}/01/exercises.ipynb"
    assert records.file_of(current(records).sha).read_bytes() == NOTEBOOK


def test_a_new_commit_is_a_resubmission_if_the_notebook_has_changed(records, tmp_path):
    place = commit(tmp_path / "mara", **{"exercises.ipynb": NOTEBOOK})
    row = f"s1,{place}"
    assert len(taken(records, tmp_path, row).new) == 1
    commit(place, **{"notes.txt": b"."})
    assert len(taken(records, tmp_path, row).known) == 1
    commit(place, **{"exercises.ipynb": NOTEBOOK + b" "})
    assert len(taken(records, tmp_path, row, dry_run=True).resubmitted) == 1
    assert len(records.submissions(CHAPTER)["s1"]) == 1
    assert len(taken(records, tmp_path, row).resubmitted) == 1
    assert len(records.submissions(CHAPTER)["s1"]) == 2
    assert records.file_of(current(records).sha).read_bytes() == NOTEBOOK + b" "


def test_a_branch_can_be_named(records, tmp_path):
    place = commit(tmp_path / "mara", **{"exercises.ipynb": OTHER})
    git(place, "checkout", "-q", "-b", "exercise/1")
    commit(place, **{"exercises.ipynb": NOTEBOOK})
    git(place, "checkout", "-q", "main")
    path = table(tmp_path, f"{place};exercise/1;MARA@school", headings="URL;Branch;E-Mail")
    assert len(collect(records, CHAPTER, path, IDS).new) == 1
    path.write_text(f"id\trepository\tbranch\ns1\t{place}\tnone\ns2\t{place}\t--all\n")
    done = collect(records, CHAPTER, path, IDS)
    assert done.not_had[0] == "Ünal, Mara: Remote branch none not found in upstream origin"
    assert done.not_had[1].startswith("Bo Li: Remote branch --all not found")
    assert current(records).status == "collected"


def test_the_export_of_github_classroom_and_a_zip_in_the_repository(records, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("exercises.ipynb", NOTEBOOK)
    place = commit(tmp_path / "mara", **{"a.zip": (tmp_path / "a.zip").read_bytes()})
    headings = '"assignment_name","roster_identifier","student_repository_url"'
    path = table(tmp_path, f'"x","s1","file://{place}"', headings=headings)
    assert len(collect(records, CHAPTER, path, IDS).new) == 1
    assert current(records).file.endswith("/a.zip/exercises.ipynb")


def many(place: Path, names: list[str], data: bytes) -> None:
    """Commit the same bytes under many names."""
    (place / "one").write_bytes(data)
    sha = git(place, "hash-object", "-w", "one")
    tree = git(place, "mktree", said="".join(f"100644 blob {sha}\t{n}\n" for n in sorted(names)))
    git(place, "update-ref", "HEAD", git(place, "commit-tree", tree, "-m", "many"))


def test_one_blob_with_many_names(records, tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("exercises.ipynb", NOTEBOOK)
    mara, bo = commit(tmp_path / "mara"), commit(tmp_path / "bo")
    many(mara, [f"{n:02}.zip" for n in range(30)], (tmp_path / "a.zip").read_bytes())
    many(bo, [f"{n:04}.ipynb" for n in range(1001)], NOTEBOOK)
    read = []
    monkeypatch.setattr(
        repositories,
        "_git",
        lambda *words, _git=repositories._git, **options: (
            read.append(words) or _git(*words, **options)
        ),
    )
    done = taken(records, tmp_path, f"s1,{mara}", f"s2,{bo}")
    assert sum("cat-file" in words for words in read) == 10, "the rest is never read"
    *refused, last = current(records).notes
    assert len(refused) == 9 and refused[-1].endswith("/29.zip is one zip file too many")
    assert last.startswith("10 notebooks; ") and "/09.zip/exercises.ipynb counts" in last
    assert done.refused == ["Bo Li: more than 1000 notebooks"]
    assert current(records, "s2").status == "too large"


def test_two_in_one_repository(records, tmp_path):
    files = {"a/exercises.ipynb": NOTEBOOK, "b/exercises.ipynb": NOTEBOOK + b" "}
    place = commit(tmp_path / "mara", **files)
    (note, _) = taken(records, tmp_path, f"s1,{place}").notes
    assert note.startswith("Ünal, Mara: 2 notebooks; s1/commit ")
    assert note.endswith("/b/exercises.ipynb counts, it is the last by name")
    assert current(records).file.endswith("/b/exercises.ipynb")


def test_that_a_commit_was_made_early_does_not_count(records, tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2001-01-01T12:00:00")
    place = commit(tmp_path / "mara", **{"exercises.ipynb": NOTEBOOK})
    taken(records, tmp_path, f"s1,{place}")
    assert current(records).handed_in is None and current(records).collected > time.time() - 60
    taken(records, tmp_path, f"s1,{place}", times={"s1": 5.0})
    assert current(records).handed_in == 5.0


def test_a_commit_that_is_late_was_handed_in_late(house, command, solved, monkeypatch):
    """Nobody forges a date to be late; an early one proves nothing."""
    command("init", "physics", "--roster", "roster.csv", "--late-days", "1")
    now = time.time()
    with Records(house / "physics") as records:
        set_rules(records, CHAPTER, Rules(now - 3 * 86_400, grace=60))
    for name, hours in (("early", -99), ("grace", -71.5), ("late", -60), ("later", -40)):
        monkeypatch.setenv("GIT_COMMITTER_DATE", f"{now + hours * 3600:.0f} +0000")
        commit(house / name, **{"exercises.ipynb": content(solved)})
    table(house, "s1,early", "s2,grace", "s3,late", "s4,later")
    code, out, _ = command("collect", CHAPTER, "repositories.csv")
    assert code == 0
    assert (
        "late, or time not known: 4\n  Ünal, Mara: time not known\n  [red]Bo: time not known\n"
        "  <b>Ada: 1 day late, 1 left\n  Cy: 2 days late, 1 left\n"
    ) in out
    command("mark", CHAPTER)
    out = command("export", CHAPTER, "--to", "grades.csv")[1]
    assert "Cy: withheld" in out and "late, or time not known: 4\n  Ünal, Mara: time not" in out
    with Records(house / "physics") as records:  # a new date: all is judged anew
        set_rules(records, CHAPTER, Rules(now - 50 * 3600))
        found = {who: one.late for who, one in counted(records, CHAPTER).items()}
        assert found["s3"] == "time not known" and found["s4"] == "1 day late, 1 left"
        set_rules(records, CHAPTER, Rules(now + 3600))
        assert not any(one.late for one in counted(records, CHAPTER).values())


# ---- whose is it, and can it be had? -------------------------------------------------------------


def test_rows_that_are_nobodys_and_two_of_one_student(records, tmp_path):
    place = commit(tmp_path / "mara", **{"exercises.ipynb": NOTEBOOK})
    rows = [f"{who},{place}" for who in ("s1", "nobody\x1b", "s2", "s3", "Bo Li", "")]
    done = taken(records, tmp_path, *rows[:2], "", *rows[2:])
    assert len(done.new) == 2
    assert done.unknown == [
        "nobody\ufffd, row 3: nobody in the roster, or more than one",
        ", row 8: nobody in the roster, or more than one",
        "Bo Li: rows 5 and 7 are theirs; expected one repository",
    ]


def test_one_that_cannot_be_had_stops_nobody(records, tmp_path):
    place = commit(tmp_path / "mara", **{"exercises.ipynb": NOTEBOOK})
    taken(records, tmp_path, f"s1,{place}")
    (tmp_path / "empty").mkdir()
    git(tmp_path / "empty", "init", "-q", "--bare")
    rows = f"s1,{tmp_path}/gone", f"s2,{tmp_path}/empty", f"s3,{place}"
    done = taken(records, tmp_path, *rows)
    assert len(done.new) == 1 and done.refused == []
    assert done.not_had == [
        f"Ünal, Mara: repository '{tmp_path}/gone' does not exist",
        "Bo Li: no commit can be read on its main branch; a column branch can name another one",
    ]
    assert current(records).status == "collected" and done.missing == ["Bo Li"]


@pytest.mark.parametrize(
    "address",
    [
        "ext::sh -c 'touch {}'",
        "--upload-pack=touch {}",
        "-x",
        "http://127.0.0.1/a.git",
        "git://127.0.0.1/a",
        "fd::17",
        "",
    ],
)
def test_addresses_that_are_refused(address, records, tmp_path):
    address = address.format(tmp_path / "touched")
    (line,) = taken(records, tmp_path, f's1,"{address}"').not_had
    assert line.startswith(f"Ünal, Mara: {address!r} is no address that is taken; expected such as")
    assert not (tmp_path / "touched").exists()


def test_a_server_that_does_not_answer(records, tmp_path, monkeypatch):
    """Git asks ssh; ours says how it was called, and then nothing."""
    script = f'#!/bin/sh\necho $$ "$@" > {tmp_path}/said\nexec sleep 77.7\n'
    (tmp_path / "ssh").write_text(script)
    (tmp_path / "ssh").chmod(0o700)
    monkeypatch.setenv("GIT_SSH_COMMAND", str(tmp_path / "ssh"))
    monkeypatch.setattr(repositories, "SECONDS", 4)
    done = taken(records, tmp_path, "s1,git@127.0.0.1:mara/work.git")
    assert done.not_had == ["Ünal, Mara: it took more than 4 seconds"]
    number, option, *rest = (tmp_path / "said").read_text().split()
    assert option == "-oBatchMode=yes" and "git@127.0.0.1" in rest
    left = [process.pid for process in psutil.process_iter(["cmdline"]) if process.info["cmdline"]]
    assert int(number) not in left, "it has ended too"  # a zombie has no command line


SETTINGS = ["GIT_SSH_COMMAND", "core.sshCommand", "GIT_SSH", "PATH"]


@pytest.mark.parametrize("first", range(len(SETTINGS)))
def test_the_teachers_own_ssh_is_called(first, records, tmp_path, monkeypatch):
    """Each setting names another one; all from `first` on are set, and that one counts."""
    place = commit(tmp_path / "mara", **{"exercises.ipynb": NOTEBOOK})
    for setting in SETTINGS[first:]:
        folder = tmp_path / f"my {setting}"
        folder.mkdir()
        (folder / "ssh").write_text(SSH.format(tmp_path))
        (folder / "ssh").chmod(0o700)
        if setting == "PATH":
            monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
        elif setting == "GIT_SSH":  # git takes it as a program
            monkeypatch.setenv(setting, str(folder / "ssh"))
        elif setting == "core.sshCommand":
            git(tmp_path, "config", "--global", setting, f"'{folder}/ssh' -i key")
        else:
            monkeypatch.setenv(setting, f"'{folder}/ssh' -i key")
    done = taken(records, tmp_path, f"s1,ssh://mara@127.0.0.1{place}")
    assert (len(done.new), done.not_had) == (1, [])
    said = (tmp_path / "said").read_text()
    assert said.startswith(f"{tmp_path}/my {SETTINGS[first]}/ssh ")
    assert ("-i key" in said) == (first < 2) and " -oBatchMode=yes" in said


def test_an_address_that_the_teacher_has_replaced(records, tmp_path, monkeypatch):
    place = commit(tmp_path / "mara", **{"exercises.ipynb": NOTEBOOK})
    (tmp_path / "ssh").write_text(SSH.format(tmp_path))
    (tmp_path / "ssh").chmod(0o700)
    monkeypatch.setenv("GIT_SSH_COMMAND", str(tmp_path / "ssh"))
    new = f"url.ssh://git@127.0.0.1{place.parent}/.insteadOf"
    git(tmp_path, "config", "--global", new, "https://git.example/")
    done = taken(records, tmp_path, "s1,https://git.example/mara")
    assert (len(done.new), done.not_had) == (1, [])
    git(tmp_path, "config", "--global", "url.https://git.example/.insteadOf", "file:///odd/")
    (line,) = taken(records, tmp_path, "s1,file:///odd/mara").not_had
    assert line == "Ünal, Mara: transport 'https' not allowed"


def test_what_git_and_ssh_warn_of_is_no_reason():
    warnings = "** WARNING: connection is not\n** The server may\nwarning: x\nhint: y\n"
    assert repositories._reason(f"{warnings}fatal: gone\nfatal: more") == "gone"
    assert repositories._reason(warnings) == repositories._reason("")
    assert repositories._reason("").startswith("git was stopped: it has more than 200 MB, or too")


def test_bad_tables_and_no_git(records, tmp_path, monkeypatch):
    with pytest.raises(InputError, match=r"row 1 is id, name; expected headings such as id,repo"):
        collect(records, CHAPTER, table(tmp_path, "s1,Mara", headings="id,name"), IDS)
    with pytest.raises(InputError, match=r"repositories.csv is empty"):
        collect(records, CHAPTER, table(tmp_path, headings=""), IDS)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match="needs git, which is not installed here"):
        taken(records, tmp_path, "s1,x")
    monkeypatch.setattr(os, "name", "other")  # as if it were Windows
    with pytest.raises(InputError, match="needs Linux or macOS; on Windows use WSL2"):
        taken(records, tmp_path, "s1,x")


# ---- a stranger's repository ---------------------------------------------------------------------


def test_links_and_submodules_are_refused(records, tmp_path):
    mara, bo = tmp_path / "mara", tmp_path / "bo"
    (commit(mara) / "exercises.ipynb").symlink_to("/etc/passwd")
    commit(mara)
    commit(bo)
    commit_of = git(mara, "rev-parse", "HEAD")
    git(bo, "update-index", "--add", "--cacheinfo", f"160000,{commit_of},exercises.ipynb")
    (bo / ".gitmodules").write_text(f'[submodule "x"]\npath = exercises.ipynb\nurl = {mara}\n')
    git(bo, "add", ".gitmodules")
    git(bo, "commit", "-qm", "work")
    done = taken(records, tmp_path, f"s1,{mara}", f"s2,{bo}")
    assert done.refused[0].endswith("/exercises.ipynb is a link")
    assert done.refused[1].endswith("/exercises.ipynb is a submodule, another repository")
    assert current(records).status == "refused"


@pytest.mark.parametrize("filters", [True, False])
def test_what_is_too_large(filters, records, tmp_path):
    huge = bytes(21 << 20)
    mara = commit(tmp_path / "mara", **{"exercises.ipynb": huge, "a/exercises.ipynb": OTHER})
    bo = commit(tmp_path / "bo", **{"exercises.ipynb": NOTEBOOK, "data.bin": huge})
    cy = commit(tmp_path / "cy", **{"exercises.ipynb": huge})
    for place in (mara, bo, cy):
        git(place, "config", "uploadpack.allowFilter", str(filters))
    done = taken(records, tmp_path, f"s1,{mara}", f"s2,{bo}", f"s3,{cy}")
    assert [line.partition(":")[0] for line in done.refused] == ["Ünal, Mara", "Ada"]
    assert "makes it more than 20 MB" in done.refused[1] and len(done.new) == 1
    assert current(records, "s3").status == "too large"


def test_a_repository_that_is_larger_than_the_limit(records, tmp_path, monkeypatch):
    monkeypatch.setattr(repositories, "LARGEST_CLONE", 1 << 20)
    mara = commit(tmp_path / "mara", **{"exercises.ipynb": NOTEBOOK, "x": os.urandom(5 << 20)})
    (line,) = taken(records, tmp_path, f"s1,{mara}").not_had
    assert line == "Ünal, Mara: git was stopped: it has more than 1 MB, or too many files"
    assert not list(tmp_path.rglob("core*")), "nothing is left of it"


def test_a_few_bytes_that_claim_to_be_millions_of_files(records, tmp_path):
    place = commit(tmp_path / "mara", **{"exercises.ipynb": NOTEBOOK})
    tree = git(place, "write-tree")
    for _ in range(9):
        rows = "".join(f"040000 tree {tree}\t{n}\n" for n in range(10))
        tree = git(place, "mktree", said=rows)
    git(place, "update-ref", "HEAD", git(place, "commit-tree", tree, "-m", "bomb"))
    before = time.monotonic()
    (line,) = taken(records, tmp_path, f"s1,{place}").not_had
    assert line.endswith("or too many files") and time.monotonic() - before < 10


def test_nothing_of_a_repository_runs(records, tmp_path, monkeypatch):
    """Hooks, filters and other settings of the repository, and hooks of a template."""
    mara, touched = tmp_path / "mara", tmp_path / "touched"
    commit(mara, **{"exercises.ipynb": NOTEBOOK, ".gitattributes": b"* filter=x diff=x text\n"})
    script = f"#!/bin/sh\ntouch {touched}\n"
    for hooks in (mara / ".git/hooks", tmp_path / "template/hooks"):
        hooks.mkdir(parents=True, exist_ok=True)
        for name in ("post-checkout", "reference-transaction", "post-index-change", "pre-auto-gc"):
            (hooks / name).write_text(script)
            (hooks / name).chmod(0o700)
    for name in ("filter.x.smudge", "filter.x.process", "diff.x.textconv", "core.fsmonitor"):
        git(mara, "config", name, f"touch {touched}")
    git(mara, "config", "uploadpack.packObjectsHook", f"touch {touched}")
    monkeypatch.setenv("GIT_TEMPLATE_DIR", str(tmp_path / "template"))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    touched.unlink(missing_ok=True)
    done = taken(records, tmp_path, f"s1,{mara}")
    assert len(done.new) == 1 and not touched.exists()
    assert records.file_of(current(records).sha).read_bytes() == NOTEBOOK


def test_clones_are_thrown_away(records, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    place = commit(tmp_path / "mara", **{"exercises.ipynb": NOTEBOOK})
    lines: list[str] = []
    taken(records, tmp_path, f"s1,{place}", "s2,gone", f"s3,{place}", tell=lines.append)
    assert list((tmp_path / "temporary").iterdir()) == []
    assert len(lines) == 3 and lines[-1] == "3 of 3 repositories"


def test_the_command(house, command, solved):
    command("init", "physics", "--roster", "roster.csv")
    place = commit(house / "mara", **{"exercises.ipynb": content(solved)})
    table(house, f"s1,{place}", "s2,nowhere")
    code, out, _ = command("collect", CHAPTER, "repositories.csv", "--dry-run")
    assert code == 1 and "Nothing was written" in out and "new: 1\n" in out
    code, out, _ = command("collect", CHAPTER, "repositories.csv")
    assert code == 1 and "2 of 2 repositories" in out
    assert "could not be had: 1\n  [red]Bo: repository 'nowhere' does not exist\n" in out
    code, out, _ = command("mark", CHAPTER)
    assert code == 0 and "1 of 1, 1 graded" in out
    command("status", CHAPTER)
    assert "s1/commit " in (house / "physics" / f"{CHAPTER}.html").read_text()
