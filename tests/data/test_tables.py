"""CSV files: what is accepted, and one sentence for everything that is not."""

import warnings
from pathlib import Path

import pytest
import torch
from sentences import refuse

from transferlab.data import csv_file


@pytest.fixture
def csv(tmp_path: Path):
    def write(text: str | bytes, **options):
        path = tmp_path / "table.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return csv_file(path, **options)

    return write


def test_a_table_of_numbers(csv):
    data = csv("height,kind,width\n1.5,0,-2e3\n2,2,3\n", label="kind")
    assert data.x.tolist() == [[1.5, -2000.0], [2.0, 3.0]]
    assert data.x.dtype == torch.float32
    assert data.y.tolist() == [0, 2]
    assert (data.classes, data.name) == (["0", "1", "2"], "table")
    assert csv("a,label\n1,1\n", classes=["x", "y"]).classes == ["x", "y"]


@pytest.mark.parametrize(
    "text",
    [
        b"\xef\xbb\xbfa,label\r\n1,0\r\n2,1\r\n",  # Excel: a byte order mark, Windows line endings
        b'"a","label"\n"1","0"\n"2","1"\n',  # R: everything quoted
        b"a,label\n\n1,0\n\n2,1",  # empty rows, no newline at the end
        b"#a,label\n1,0\n2,1\n",
    ],
    ids=["excel", "quoted", "empty rows", "hash"],
)
def test_dialects(csv, text):
    data = csv(text)
    assert data.x.tolist() == [[1.0], [2.0]]
    assert data.y.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", r"table\.csv is empty; expected a header line"),
        ("a,label\n", r"table\.csv holds a header line and no rows"),
        ("a,kind\n1,0\n", r"table\.csv has no column 'label'; its columns are 'a', 'kind'\. Name"),
        ("a;label\n1;0\n", r"has no column 'label'; its columns are 'a;label'"),
        ("label\n1\n", r"has no column besides 'label'"),
        ("a,label\n1,0\nred,1\n", r"row 3, column 'a': found 'red'; expected a number"),
        ("a,label\n1,0\n,1\n", r"row 3, column 'a': found ''; expected a number"),
        ("a,label\n\n1,0\n\nred,1\n", r"row 5, column 'a': found 'red'"),
        ("a,label\n1,cat\n", r"row 2, column 'label': found 'cat'; expected a number"),
        ("a,b,label\n1,2,0\n1,0\n", r"row 3: found 2 values; expected 3, as in the header"),
        ("a,b,label\n1,2,0\n1,2,0,4\n", r"row 3: found 4 values; expected 3"),
        ("a,b,label\n1,0\n2,1\n", r"row 2: found 2 values; expected 3"),
        ("a,label\n1,0\nnan,1\n", r"row 3, column 'a': found 'nan'; expected a finite number"),
        ("a,label\n1,0\n\nnan,1\n", r"row 4, column 'a': found 'nan'"),
        ("a,label\ninf,0\n", r"row 2, column 'a': found 'inf'; expected a finite number"),
        ("a,label\n1,nan\n", r"row 2, column 'label': found 'nan'"),
        ("a,label\n1,0.5\n", r"row 2, column 'label': found '0\.5'; expected a whole number"),
        ("a,label\n1,0\n1,-1\n", r"row 3, column 'label': found '-1'; expected a whole number"),
        ("a,label\n1,1700000000\n", r"row 2, column 'label': found '1700000000'; expected a whole"),
        ("größe,label\n1,0\n".encode("cp1252"), r"table\.csv is not UTF-8 text"),
        ("a,label\n1,0\n".encode("utf-16"), r"table\.csv is not UTF-8 text"),
    ],
)
def test_a_fault_is_named_with_row_and_column(csv, text, sentence):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # one sentence, not also a warning
        refuse(lambda: csv(text), sentence)


def test_a_fault_far_from_the_start_of_the_file(csv):
    rows = [f"{i},{i % 3}" for i in range(60_000)]
    rows[50_000] = "x,0"
    refuse(lambda: csv("a,label\n" + "\n".join(rows)), r"row 50002, column 'a': found 'x'")


def test_a_missing_file_and_too_few_names(csv, tmp_path):
    refuse(lambda: csv_file(tmp_path / "none.csv"), r"none\.csv does not exist; expected a CSV")
    refuse(
        lambda: csv("a,label\n1,0\n2,2\n", classes=["x", "y"]),
        r"table: label 2 at sample 1 is out of range; expected 0 to 1 for 2 classes",
    )
