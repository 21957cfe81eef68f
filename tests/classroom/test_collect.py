"""Collecting what platforms and people really deliver, and what nobody should."""

import json
import os
import zipfile
from pathlib import Path

import pytest
from toy_class import CHAPTER, content

from transferlab.errors import InputError
from transferlab.kit.classroom.collect import collect
from transferlab.kit.classroom.deadlines import counted
from transferlab.kit.classroom.records import Records
from transferlab.kit.classroom.roster import Student

IDS = ["double", "halve"]
NOTEBOOK = json.dumps({"cells": [{"metadata": {"grade_id": "double"}}], "nbformat": 4}).encode()
OTHER = json.dumps({"cells": [], "nbformat": 4}).encode()
MOODLE = "Mara Ünal_12345_assignsubmission_file_/exercises.ipynb"
CANVAS = "unalmara_LATE_777_888_exercises-1.ipynb"


def put(path: Path, data: bytes = NOTEBOOK, when: float | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    if when is not None:
        os.utime(path, (when, when))
    return path


def packed(path: Path, **files: bytes) -> Path:
    return packed_as(path, files.items())


def packed_as(path: Path, files) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files:
            archive.writestr(name, data)
    return path


def current(records: Records, student: str = "s1"):
    return counted(records, CHAPTER)[student].submission


@pytest.mark.parametrize(
    "name",
    [
        MOODLE,
        "Mara Ünal_12345_assignsubmission_file/exercises.ipynb",
        "Mara Ünal_12345_assignsubmission_file_exercises (1).ipynb",
        CANVAS,
        "unalmara_777_888_homework.ipynb",
        "s1/exercises.ipynb",
        "s1.ipynb",
        "Ünal, Mara/02/deep/deeper/my work.IPYNB",
        "downloads/Mara Ünal/exercises.ipynb",
        f"all of them/{MOODLE}",
        "mara@school/exercises (1).ipynb",
    ],
)
@pytest.mark.parametrize("as_zip", [True, False])
def test_every_way_to_name_it(name, as_zip, records, tmp_path):
    source = tmp_path / "in"
    if as_zip:
        source = packed_as(tmp_path / "in.zip", [(name, NOTEBOOK), ("__MACOSX/._x.ipynb", b"")])
    else:
        put(source / name)
        put(source / Path(name).parent / ".ipynb_checkpoints" / "exercises.ipynb", OTHER)
    done = collect(records, CHAPTER, source, IDS)
    assert (len(done.new), done.refused, done.unknown) == (1, [], []), done
    assert done.missing == ["Bo Li", "Ada"]
    assert records.file_of(current(records).sha).read_bytes() == NOTEBOOK


def test_collecting_again_changes_nothing_and_a_resubmission_is_kept_beside(records, tmp_path):
    put(tmp_path / "in/s1/exercises.ipynb")
    first = collect(records, CHAPTER, tmp_path / "in", IDS)
    again = collect(records, CHAPTER, tmp_path / "in", IDS)
    assert (len(first.new), len(again.new), len(again.known)) == (1, 0, 1)
    put(tmp_path / "in/s1/exercises.ipynb", NOTEBOOK + b" ")
    later = collect(records, CHAPTER, tmp_path / "in", IDS)
    assert (later.new, len(later.resubmitted)) == ([], 1)
    kept = records.submissions(CHAPTER)["s1"]
    assert [records.file_of(one.sha).read_bytes() for one in kept] == [NOTEBOOK, NOTEBOOK + b" "]
    assert counted(records, CHAPTER)["s1"].submission == kept[-1]


def test_a_dry_run_writes_nothing(records, tmp_path):
    put(tmp_path / "in/s1/exercises.ipynb")
    done = collect(records, CHAPTER, tmp_path / "in", IDS, dry_run=True)
    assert len(done.new) == 1
    assert records.submissions(CHAPTER) == {}
    assert not (records.folder / "submissions").exists()


def test_of_doubled_files_the_newest_of_the_chapter_counts(records, tmp_path):
    folder = tmp_path / "in/s1"
    put(folder / "exercises.ipynb", NOTEBOOK, when=2000)
    put(folder / "exercises (1).ipynb", NOTEBOOK + b" ", when=3000)
    put(folder / "exercises (2).ipynb", NOTEBOOK + b"  ", when=3000)
    put(folder / "01_a_lesson.ipynb", OTHER, when=9000)
    done = collect(records, CHAPTER, tmp_path / "in", IDS)
    assert done.notes == [
        "Ünal, Mara: 3 notebooks; s1/exercises (2).ipynb counts, it is the newest"
    ] * len(done.notes)
    assert current(records).file == "s1/exercises (2).ipynb"
    assert len(records.submissions(CHAPTER)["s1"]) == 3


def test_a_students_own_zip_is_opened(records, tmp_path):
    inner = packed(tmp_path / "inner.zip", **{"work/exercises.ipynb": NOTEBOOK}).read_bytes()
    packed_as(tmp_path / "in.zip", [(MOODLE.replace("exercises.ipynb", "all.zip"), inner)])
    collect(records, CHAPTER, tmp_path / "in.zip", IDS)
    assert current(records).file.endswith("all.zip/work/exercises.ipynb")


def test_two_students_of_one_name_are_never_mixed_up(records, tmp_path):
    records.add_students([Student("s4", "Bo Li"), Student("s5", "Cy")])
    twins = [(f"Bo Li_{n}_assignsubmission_file_/exercises.ipynb", NOTEBOOK) for n in (5, 6)]
    cy = [(f"Cy_{n}_assignsubmission_file_/exercises.ipynb", NOTEBOOK) for n in (7, 8)]
    done = collect(records, CHAPTER, packed_as(tmp_path / "in.zip", [*twins, *cy]), IDS)
    assert records.submissions(CHAPTER) == {}
    assert len(done.unknown) == 3
    assert "2 students have this name" in done.unknown[0] and "s2, s4" in done.unknown[0]
    assert "Cy: 2 folders are theirs" in done.unknown[2]
    put(tmp_path / "by id/s4/exercises.ipynb")
    assert len(collect(records, CHAPTER, tmp_path / "by id", IDS).new) == 1


def test_strangers_are_listed(records, tmp_path):
    put(tmp_path / "in/Some\nbody\x1b[31m/exercises.ipynb")
    put(tmp_path / "in/s1/exercises.ipynb")
    (line,) = collect(records, CHAPTER, tmp_path / "in", IDS).unknown
    assert line.endswith("nobody in the roster has this name or id")
    assert "\n" not in line and "\x1b" not in line


# ---- what is refused -----------------------------------------------------------------------------


def refused(records: Records, source: Path) -> str:
    done = collect(records, CHAPTER, source, IDS)
    (line,) = done.refused
    found = current(records)
    assert found.status in ("refused", "too large") and found.reason in line
    assert not (records.folder / "submissions").exists()
    return line


def test_links_pipes_and_devices_in_a_folder(records, tmp_path):
    secret = put(tmp_path / "solutions.ipynb", b"secret")
    folder = tmp_path / "in/s1"
    folder.mkdir(parents=True)
    (folder / "exercises.ipynb").symlink_to(secret)
    assert "is a link" in refused(records, tmp_path / "in")
    (folder / "exercises.ipynb").unlink()
    os.mkfifo(folder / "exercises.ipynb")
    assert any("a pipe" in line for line in collect(records, CHAPTER, tmp_path / "in", IDS).refused)
    (tmp_path / "in/s2").symlink_to(tmp_path)
    assert any("s2 is a link" in x for x in collect(records, CHAPTER, tmp_path / "in", IDS).refused)


@pytest.mark.parametrize(
    "name", ["s1/../../up.ipynb", "s1/..\\..\\up.ipynb", "s1/a/../../../etc/x.ipynb"]
)
def test_a_path_that_leads_out(name, records, tmp_path):
    source = packed_as(tmp_path / "in.zip", [(name, NOTEBOOK)])
    assert "leads out of its folder" in refused(records, source)
    assert sorted(path.name for path in tmp_path.rglob("*.ipynb")) == []


@pytest.mark.parametrize("name", ["/s1/exercises.ipynb", "../s1/exercises.ipynb", "C:/s1/x.ipynb"])
def test_a_path_from_the_root_is_taken_by_nobody(name, records, tmp_path):
    source = packed_as(tmp_path / "in.zip", [(name, NOTEBOOK), ("s2/exercises.ipynb", NOTEBOOK)])
    done = collect(records, CHAPTER, source, IDS)
    assert len(done.new) == 1 and len(done.refused) + len(done.unknown) == 1
    assert set(records.submissions(CHAPTER)) <= {"s1", "s2"}
    assert "s1" not in records.submissions(CHAPTER) or current(records).status == "refused"


def test_a_link_in_a_zip(records, tmp_path):
    info = zipfile.ZipInfo("s1/exercises.ipynb")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    assert "is a link" in refused(records, tmp_path / "in.zip")


def test_a_zip_bomb(records, tmp_path):
    source = packed_as(tmp_path / "in.zip", [("s1/exercises.ipynb", b" " * (50 << 20))])
    assert source.stat().st_size < 100_000
    assert "more than 20 MB" in refused(records, source)
    assert current(records).status == "too large"


def test_many_files_that_are_a_bomb_together(records, tmp_path):
    files = [(f"s1/{n}.ipynb", NOTEBOOK + bytes([32]) * (3 << 20) + b"%d" % n) for n in range(9)]
    assert "more than 20 MB" in refused(records, packed_as(tmp_path / "in.zip", files))


def test_a_zip_that_lies_about_a_size(records, tmp_path):
    source = packed_as(tmp_path / "in.zip", [("s1/exercises.ipynb", b"a" * 5000)])
    real, lie = (5000).to_bytes(4, "little"), (50).to_bytes(4, "little")
    source.write_bytes(source.read_bytes().replace(real, lie))
    assert "is damaged in the zip file" in refused(records, source)


def test_fifty_megabytes(records, tmp_path):
    put(tmp_path / "in/s1/exercises.ipynb", b" " * (50 << 20))
    assert "more than 20 MB" in refused(records, tmp_path / "in")


def test_no_notebook_and_a_damaged_zip(records, tmp_path):
    put(tmp_path / "in/s1/report.pdf", b"%PDF")
    assert "no notebook; found s1/report.pdf" in refused(records, tmp_path / "in")
    put(tmp_path / "in/s2/all.zip", b"PK\x03\x04 no zip")
    assert any("damaged zip" in x for x in collect(records, CHAPTER, tmp_path / "in", IDS).refused)


def test_a_file_that_is_cut_off_or_of_another_chapter_does_not_replace_a_good_one(
    records, tmp_path
):
    collect(records, CHAPTER, put(tmp_path / "one" / "s1" / "exercises.ipynb").parents[1], IDS)
    other = {"cell_type": "code", "source": "", "metadata": {"nbgrader": {"grade_id": "freeze"}}}
    theirs = json.dumps({"cells": [other], "nbformat": 4}).encode()
    for name, data, status, reason in (
        ("two", theirs, "refused", "it is the notebook of another chapter; its cells are freeze …"),
        ("three", NOTEBOOK[:-9], "unreadable", "it holds no valid JSON; was the file cut off?"),
    ):
        done = collect(records, CHAPTER, put(tmp_path / name / "s1.ipynb", data).parent, IDS)
        assert done.refused == [f"Ünal, Mara: {reason}"]
        newest = records.submissions(CHAPTER)["s1"][-1]
        assert newest.status == status and records.file_of(newest.sha).read_bytes() == data
        assert current(records).status == "collected"


def test_a_refused_resubmission_does_not_replace_a_good_one(records, tmp_path, solved):
    path = put(tmp_path / "in/s1/exercises.ipynb", content(solved))
    collect(records, CHAPTER, tmp_path / "in", IDS)
    path.unlink()
    path.symlink_to("/etc/passwd")
    assert len(collect(records, CHAPTER, tmp_path / "in", IDS).refused) == 1
    assert current(records).status == "collected"


@pytest.mark.parametrize("data", [None, b"not a zip", b"PK\x05\x06" + b"\xff" * 18])
def test_a_source_that_is_none(data, records, tmp_path):
    source = tmp_path / "in.zip"
    if data:
        source.write_bytes(data)
    with pytest.raises(InputError, match=r"in\.zip"):
        collect(records, CHAPTER, source, IDS)
