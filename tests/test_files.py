"""Files whole or not at all, locks, hashes and tables."""

import hashlib
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from transferlab import InputError
from transferlab.files import check_writable, html_table, locked, sha256, text_table, written_whole


def test_a_file_gets_its_name_when_all_went_well(tmp_path):
    file = tmp_path / "folder" / "note.txt"
    with written_whole(file) as unfinished:
        unfinished.write_text("half")
        assert not file.exists()
        assert unfinished.parent == file.parent  # renaming works within one file system only
    assert file.read_text() == "half"
    assert list(file.parent.iterdir()) == [file]


def test_an_error_leaves_the_old_file_and_no_litter(tmp_path):
    file = tmp_path / "note.txt"
    file.write_text("old")
    with pytest.raises(KeyboardInterrupt), written_whole(file) as unfinished:
        unfinished.write_text("new")
        raise KeyboardInterrupt
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_two_writes_at_once_do_not_mix(tmp_path):
    file = tmp_path / "note.txt"
    with written_whole(file) as outer:
        outer.write_text("outer")
        with written_whole(file) as inner:
            inner.write_text("inner")
        assert file.read_text() == "inner"
    assert file.read_text() == "outer"


def test_links_are_followed_and_home_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "link.txt").symlink_to(tmp_path / "real.txt")
    with written_whole("~/link.txt") as unfinished:
        unfinished.write_text("x")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "real.txt").read_text() == "x"


def test_only_what_ended_processes_left_is_swept(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    dead = tmp_path / f".note.txt.{platform.node()}-{ended.pid}-0.part"
    alive = tmp_path / f".note.txt.{platform.node()}-{os.getppid()}-0.part"
    elsewhere = tmp_path / f".note.txt.another-machine-{ended.pid}-0.part"
    for leftover in (dead, alive, elsewhere):
        leftover.touch()
    with written_whole(tmp_path / "note.txt") as unfinished:
        unfinished.touch()
    assert not dead.exists()
    assert alive.exists() and elsewhere.exists()


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"note\.txt cannot be written: File exists\."):
        check_writable(tmp_path / "file" / "note.txt")
    with pytest.raises(InputError, match="is a folder; expected the name of a file"):
        check_writable(tmp_path)
    check_writable(tmp_path / "new" / "note.txt")
    assert not list((tmp_path / "new").iterdir())


def test_a_lock_belongs_to_one(tmp_path):
    with locked(tmp_path / "run.pt"):
        refused = pytest.raises(InputError, match=r"run\.pt is in use by another run; wait")
        with refused, locked(tmp_path / "run.pt"):
            pass
        with locked(tmp_path / "other.pt"):
            pass
    with locked(tmp_path / "run.pt"):
        pass


def test_the_system_lets_a_lock_go_when_its_process_is_killed(tmp_path):
    code = f"""
from transferlab.files import locked
import os, signal
with locked({str(tmp_path / "run.pt")!r}):
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    with locked(tmp_path / "run.pt"):
        pass


def test_the_hash_of_a_file(tmp_path):
    file: Path = tmp_path / "x"
    file.write_bytes(b"abc")
    assert sha256(file) == hashlib.sha256(b"abc").hexdigest()


def test_tables():
    rows = [("name", "n"), ("a", "10"), ("long name", "2")]
    assert text_table(rows) == "name       n\n-------------\na          10\nlong name  2"
    html = html_table([("a < b",), ("x & y",)])
    assert "<th>a &lt; b</th>" in html and "x &amp; y</td>" in html
