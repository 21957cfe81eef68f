"""CSV files: what is accepted, and one sentence for everything that is not."""

import gzip
import io
import warnings
import zipfile
from pathlib import Path

import numpy as np
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
    with pytest.warns(UserWarning, match=r"table\.csv: no row has the label 1\."):
        data = csv("height,kind,width\n1.5,0,-2e3\n2,2,3\n", label="kind")
    assert data.x.tolist() == [[1.5, -2000.0], [2.0, 3.0]]
    assert data.x.dtype == torch.float32
    assert data.y.tolist() == [0, 2]
    assert (data.classes, data.name) == (["0", "1", "2"], "table")
    assert data.columns == ["height", "width"]
    assert csv("a,label\n1,1\n", classes=["x", "y"]).classes == ["x", "y"]


# ---- how files are written -----------------------------------------------------------------------

PLAIN = "a,b,label\n1.5,-2,0\n3,4,1\n"  # every file below says the same


@pytest.mark.parametrize(
    "text",
    {
        "plain": PLAIN,
        "a byte order mark and Windows lines": b"\xef\xbb\xbf"
        + PLAIN.replace("\n", "\r\n").encode(),
        "old Macintosh lines": PLAIN.replace("\n", "\r"),
        "UTF-16, as Excel's Unicode text": PLAIN.replace(",", "\t").encode("utf-16"),
        "quoted, as R writes": '"a","b","label"\n"1.5","-2","0"\n"3","4","1"\n',
        "semicolons": PLAIN.replace(",", ";"),
        "tabs": PLAIN.replace(",", "\t"),
        "bars": PLAIN.replace(",", "|"),
        "semicolons and a decimal comma": "a;b;label\n1,5;-2;0\n3;4,000;1\n",
        "tabs and a decimal comma": "a\tb\tlabel\n1,5\t-2\t0\n3\t4\t1\n",
        "a decimal comma in quotes": 'a,b,label\n"1,5","-2,0",0\n3,4,1\n',
        "spaces after commas": "a, b, label\n1.5, -2, 0\n3, 4, 1\n",
        "spaces around": " a , b , label \n 1.5 , -2 , 0 \n 3 , 4 , 1 \n",
        "spaces before quotes": 'a, "b", label\n1.5, "-2", "0"\n3, "4", "1"\n',
        "blank lines": "\n\na,b,label\n\n1.5,-2,0\n  \n3,4,1\n\n\n",
        "no newline at the end": PLAIN.rstrip(),
        "plus and exponents": "a,b,label\n+1.5,-2e0,0\n3E+0,.4e1,1\n",
        "whole labels with a point": "a,b,label\n1.5,-2,0.0\n3.,4,1.0\n",
        "labels with zeros before": "a,b,label\n1.5,-2,00\n3,4,01\n",
    }.values(),
)
def test_dialects(csv, text):
    data = csv(text)
    assert data.x.tolist() == [[1.5, -2.0], [3.0, 4.0]]
    assert data.y.tolist() == [0, 1]
    assert (data.classes, data.columns) == (["0", "1"], ["a", "b"])


def test_names_of_any_kind(csv):
    text = '"the\nheight","weight, kg",größe,#x,label\n1,2,3,4,0\n5,6,7,8,1\n'
    data = csv(text)
    assert data.columns == ["the\nheight", "weight, kg", "größe", "#x"]
    assert data.x.tolist() == [[1, 2, 3, 4], [5, 6, 7, 8]]
    refuse(lambda: csv(text.replace("5", "x")), "row 4, column 'the.*nheight': found 'x'")


# ---- labels --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "classes", "y", "names"),
    [
        ("1 0 2", None, [1, 0, 2], ["0", "1", "2"]),
        ("0 1 1", ["no", "yes"], [0, 1, 1], ["no", "yes"]),
        ("1 1 1", ["no", "yes"], [1, 1, 1], ["no", "yes"]),  # a test file may lack a class
        ("3 8 5", ["3", "5", "8"], [0, 2, 1], ["3", "5", "8"]),
        ("1 0 1", ["1", "0"], [0, 1, 0], ["1", "0"]),
        ("dog cat dog", None, [1, 0, 1], ["cat", "dog"]),
        ("dog cat dog", ["dog", "cat", "owl"], [0, 1, 0], ["dog", "cat", "owl"]),
        ("dog dog dog", ["cat", "dog"], [1, 1, 1], ["cat", "dog"]),
        ("TRUE FALSE TRUE", None, [1, 0, 1], ["FALSE", "TRUE"]),
        ("none mild none", None, [1, 0, 1], ["mild", "none"]),
        ("2024-05-01 2024-05-02 2024-05-01", None, [0, 1, 0], ["2024-05-01", "2024-05-02"]),
        ("猫 犬 猫", None, [1, 0, 1], ["犬", "猫"]),
        ('"a,b" c "a,b"', None, [0, 1, 0], ["a,b", "c"]),
    ],
)
def test_labels(csv, labels, classes, y, names):
    text = "label,a\n" + "".join(f"{label},{i * i}\n" for i, label in enumerate(labels.split()))
    data = csv(text, classes=classes)
    assert (data.y.tolist(), data.classes) == (y, names)
    assert data.x.tolist() == [[0.0], [1.0], [4.0]]


@pytest.mark.parametrize(
    ("labels", "classes", "sentence"),
    [
        ("dog cow", ["cat", "dog"], "row 3, .* found 'cow'; expected one of 'cat', 'dog'"),
        ("dog cats", ["cat", "dog"], "found 'cats'; expected .*; the nearest is 'cat'"),
        ("0 1 7", ["a", "b"], "table: label 7 at sample 2 is out of range; expected 0 to 1 for 2"),
        ("0 1 1O 1", None, "row 4, .* found '1O'; expected what the other labels are: all numbers"),
        ("cat dog 3 cat", None, "row 4, column 'label': found '3'; expected what the other"),
        ("cat dog 3", ["cat", "dog"], "row 4, column 'label': found '3'; expected one of 'cat'"),
        ("cat dog Cat", None, "row 4, .* found 'Cat'; expected one spelling; other rows .* 'cat'"),
        ("cat dog ?", None, r"row 4, column 'label': missing value '\?'; expected a label"),
        ("0 1 nan", None, "row 4, column 'label': missing value 'nan'; expected a label"),
        ("0 1 ,", None, "row 4: found 3 values; expected 2"),
        ("0 1 NA", ["x", "y"], "row 4, column 'label': missing value 'NA'; expected a label"),
        ("0 1 0.5", None, r"row 4, column 'label': found '0\.5'; expected a whole number"),
        ("0 1 -1", None, "row 4, column 'label': found '-1'; expected a whole number"),
        ("0 1700000000", None, "row 3, .* found '1700000000'; expected a whole number from 0 to"),
        ("0 1 inf", None, "row 4, column 'label': found 'inf'; expected what the other labels are"),
        ("cat cat", None, "every row has the label 'cat'; expected two classes or more. Name them"),
        ("0 0 0", None, "every row has the label '0'; expected two classes or more"),
        ("0 1", ["x", "x"], r"classes=\['x', 'x'\]; expected a list of different names"),
        ("0 1", "xy", "classes='xy'; expected a list of different names"),
        ("0 1", [], r"classes=\[\]; expected a list of different names"),
        (
            " ".join(f"n{i}" for i in range(20)),
            None,
            "every row has its own label in column 'label'",
        ),
    ],
)
def test_labels_that_cannot_be_used(csv, labels, classes, sentence):
    text = "label,a\n" + "".join(f"{label},{i * i}\n" for i, label in enumerate(labels.split()))
    refuse(lambda: csv(text, classes=classes), sentence)


def test_a_skipped_number_is_said_and_ten_classes_stay_ten(csv):
    rows = "".join(f"{i * i},{i}\n" for i in range(10) if i != 4)
    with pytest.warns(UserWarning, match="no row has the label 4"):
        assert len(csv("a,label\n" + rows).classes) == 10
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # who names the classes knows them
        assert len(csv("a,label\n" + rows, classes=list("0123456789")).classes) == 10


# ---- columns by name -----------------------------------------------------------------------------


def test_columns_are_found_by_name_in_another_file(csv):
    train = csv("height,width,label\n1,10,0\n2,20,1\n")
    test = csv("id,width,label,note,height\nx7,30,1,old,3\nx8,40,0,,4\n", columns=train.columns)
    assert train.columns == test.columns == ["height", "width"]
    assert test.x.tolist() == [[3.0, 30.0], [4.0, 40.0]] and test.y.tolist() == [1, 0]
    refuse(
        lambda: csv("height,length,label\n1,2,0\n", columns=train.columns),
        "has no column 'width'; expected 'height', 'width', as columns= says, found 'height', 'len",
    )
    refuse(
        lambda: csv("Height,width,label\n1,2,0\n", columns=train.columns),
        "no column 'height'; .*; the nearest is 'Height'",
    )


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ([0], "has no column 0; expected 0, as columns= says, found 'a', 'b', 'c', 'c', 'label'"),
        (["a", "label"], r"columns=\['a', 'label'\]; expected a list of names, without 'label'"),
        ("a", "columns='a'; expected a list of names"),
        ([], r"columns=\[\]; expected a list of names"),
        (["a", "a"], "column 'a' is there twice; expected different names"),
        (["b", "c"], "table.csv: column 'c' is there twice"),
    ],
)
def test_columns_that_cannot_be_chosen(csv, columns, sentence):
    refuse(lambda: csv("a,b,c,c,label\n1,2,3,4,0\n1,2,3,5,1\n", columns=columns), sentence)
    assert csv("a,b,c,c,label\n1,2,3,4,0\n1,2,3,5,1\n", columns=["b", "a"]).x[0].tolist() == [2, 1]


# ---- faults of cells and rows --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "found"),
    [
        ("red", "found 'red'; expected a number"),
        ("", "missing value ''; expected a number: fill it in, or leave this row"),
        ("NaN", "missing value 'NaN'; expected a number"),
        ("NA", "missing value 'NA'; expected a number"),
        ("n/a", "missing value 'n/a'"),
        ("null", "missing value 'null'"),
        ("?", r"missing value '\?'"),
        ("inf", "found 'inf'; expected a finite number"),
        ("-Infinity", "found '-Infinity'; expected a finite number"),
        ("1e400", r"found '1e400'; expected a number below 3\.4e\+38"),
        ("1e39", r"found '1e39'; expected a number below 3\.4e\+38"),
        ("1_000", "found '1_000'; expected a number without marks between its digits"),
        ('"1,000"', "found '1,000'; expected a number without marks"),
        ('"1,000,000"', "found '1,000,000'; expected a number without marks"),
        ("1 000", "found '1 000'; expected a number without marks"),
        ("1'000", 'found "1\'000"; expected a number without marks'),
        ("1.000.000", r"found '1\.000\.000'; expected a number without marks"),
        ('"1.000,5"', r"found '1\.000,5'; expected a number"),
        ("0x10", "found '0x10'; expected a number"),
        ("1e", "found '1e'; expected a number"),
        ("１", "found '１'; expected a number"),
        ("½", "found '½'; expected a number"),
        ("1j", "found '1j'; expected a number"),
        ("TRUE", "found 'TRUE'; expected a number"),
        ("yes", "found 'yes'; expected a number"),
        ("5 %", "found '5 %'; expected a number without a unit"),
        ("5%", "found '5%'; expected a number without a unit"),
        ("€5", "found '€5'; expected a number"),
        ("2024-05-01", "found '2024-05-01'; expected a number"),
        ("12:30", "found '12:30'; expected a number"),
        ("-", "found '-'; expected a number"),
        ("#DIV/0!", "found '#DIV/0!'; expected a number"),
        ("=A1+B1", r"found '=A1\+B1'; expected a number"),
        ("x" * 500, "found 'xxxx.*…'; expected a number"),
        ("x" * 131_073, r"row \d: field larger than field limit .* quotation marks at both ends"),
    ],
)
def test_a_cell_that_is_no_number(csv, cell, found):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # one sentence, not also a warning
        for text in (f"b,a,label\n2,1,0\n\n3,{cell},1\n", f"b,label,a\n2,0,1\n\n3,1,{cell}\n"):
            where = "" if len(cell) > 1000 else r"table\.csv, row 4, column 'a': "
            refuse(lambda text=text: csv(text), where + found)


def test_a_decimal_comma_is_one_for_the_whole_file(csv):
    head = "a;b;label\n1,5;2;0\n"
    assert csv(head + "3,125;4;1\n").x.tolist() == [[1.5, 2.0], [3.125, 4.0]]
    refuse(lambda: csv(head + "3;4.5;1\n"), r"found '4\.5'; expected a decimal comma, as in other")
    # Only numbers like this one: a thousand, or one with three decimals?
    refuse(lambda: csv("a;label\n1,000;0\n2,000;1\n"), "row 2, column 'a': found '1,000'; expected")
    assert csv("a;label\n0,125;0\n2,000;1\n").x.tolist() == [[0.125], [2.0]]


def spoiled(text: bytes) -> bytes:
    """Return a zip file, which every Excel file is."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("xl/worksheets/sheet1.xml", text)
    return packed.getvalue()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", r"table\.csv is empty; expected a header line"),
        ("\n \n", r"table\.csv is empty; expected a header line"),
        ("a,label\n", r"table\.csv holds a header line and no rows"),
        ("a,label\n\n\n", r"table\.csv holds a header line and no rows"),
        ("a,kind\n1,0\n", r"table\.csv has no column 'label'; its columns are 'a', 'kind'\. Name"),
        ("a,Label\n1,0\n", r"no column 'label'; .*; the nearest is 'Label'\. Name the column of l"),
        ("a,labels\n1,0\n", r"no column 'label'; .*; the nearest is 'labels'"),
        ("a:label\n1:0\n", r"has no column 'label'; its columns are 'a:label'"),
        ("label;a,label\n0;1,1\n", "can be separated by ',' or ';'; expected one separator"),
        ("label\n1\n", r"has no column besides 'label'"),
        ("1.5,2,0\n3,4,1\n", "the first row holds numbers only; expected a header line.*'label'"),
        ("a,a,label\n1,2,0\n", "column 'a' is there twice; expected different names"),
        ("a,label,label\n1,0,0\n", "has 2 columns 'label'; expected one"),
        ("a,,label\n1,2,0\n", r"column 2 has no name.* Leave it out with columns=\['a'\]"),
        (",a,b,label\n0,1,2,0\n", r"column 1 has no name.* Leave it out with columns=\['a', 'b'\]"),
        ("Unnamed: 0,a,label\n0,1,0\n", r"column 1 has no name.* with columns=\['a'\]"),
        ("a,label,\n1,0,\n2,1,\n", r"column 3 has no name.* with columns=\['a'\]"),
        ("a,label\n1,0,\n2,1,\n", "row 2: found 3 values; expected 2, as in the header"),
        ("a,b,label\n1,2,0\n1,0\n", r"row 3: found 2 values; expected 3, as in the header"),
        ("a,b,label\n1,2,0\n1,2,0,4\n", r"row 3: found 4 values; expected 3"),
        ("a,b,label\n1,0\n2,1\n", r"row 2: found 2 values; expected 3"),
        ("a,b,label\n1,2,0\nTotal,,\n", "row 3, column 'a': found 'Total'; expected a number"),
        ("a,b,label\n1,2,0\n3,2,Total\n", "row 3, column 'label': found 'Total'; expected what"),
        ("a,b,label\n1,2,0\n,,\n", "row 3, column 'a': missing value ''"),
        ("a,label\n1,0\n# note\n2,1\n", "row 3: found 1 values; expected 2"),
        ("# by a tool\na,label\n1,0\n", "no column 'label'; its columns are '# by a tool'"),
        ('a,label\n1,0\n"2,1\n3,0\n', "row 4: unexpected end of data; expected .* quotation"),
        ('a,label\n1,cat\n2,"dog\n3,cat\n', "row 4: unexpected end of data; expected .* quotation"),
        ("größe,label\n1,0\n".encode("cp1252"), r"table\.csv is not UTF-8 text; .* 'CSV UTF-8'"),
        (b"a,label\n1,0\n2,\xe4\n", r"table\.csv is not UTF-8 text"),
        ("a,label\n1,0\n2,1\n".encode("utf-16-le"), "is no text but a compressed file, an Excel"),
        (gzip.compress(b"a,label\n1,0\n", mtime=0), "is no text but a compressed file.*unpack it"),
        (spoiled(b"<row/>"), "is no text but a compressed file, an Excel file"),
        (b"\x89PNG\r\n\0\0", "is no text but"),
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


def test_a_path_from_the_home_folder(csv, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    csv(PLAIN)
    assert csv_file("~/table.csv").columns == ["a", "b"]


def test_a_missing_file_and_a_folder(tmp_path):
    refuse(lambda: csv_file(tmp_path / "none.csv"), r"none\.csv does not exist; expected a CSV")
    refuse(lambda: csv_file(tmp_path), "is a folder; expected a CSV file")


# ---- columns that tell the answer, or nothing ----------------------------------------------------

ROWS = 40
NOISE = np.random.default_rng(0).normal(size=ROWS).round(3)
LABELS = [i // 20 for i in range(ROWS)]  # sorted by label, so that a row number tells it


def table_with(column: list, name: str = "extra", labels: list = LABELS) -> str:
    rows = zip(column, NOISE, labels, strict=True)
    return f"{name},noise,label\n" + "".join(f"{a!r},{b},{c}\n" for a, b, c in rows)


@pytest.mark.parametrize(
    ("column", "sentence"),
    [
        (range(ROWS), "it numbers the rows from 0 to 39; expected data"),
        (range(1, ROWS + 1), "it numbers the rows from 1 to 40"),
        (range(1000, 1000 + ROWS), "it numbers the rows from 1000 to 1039"),
        (reversed(range(ROWS)), "it numbers the rows from 0 to 39"),
        ([7 * i % ROWS for i in range(ROWS)], "it numbers the rows from 0 to 39"),  # shuffled
        (LABELS, "it repeats the label"),
        ([1 - y for y in LABELS], "it repeats the label"),
        ([2.5 + y for y in LABELS], "it repeats the label"),
        ([12345678901234567 + i * i for i in range(ROWS)], "equal in float32.*subtract"),
        ([12345678901234567] * ROWS, "numbers such as 12345678901234568 become equal"),
        ([100_000_000 + i * i for i in range(ROWS)], "equal in float32, which keeps 7 digits"),
        ([1e9 + i * i / 7 for i in range(ROWS)], "equal in float32"),
    ],
)
def test_row_numbers_copies_and_ids_are_refused(csv, column, sentence):
    text = table_with(list(column))
    refuse(lambda: csv(text), r"table\.csv, column 'extra': .*" + sentence)
    refuse(lambda: csv(text), r"Leave it out with columns=\['noise'\]")
    assert csv(text, columns=["noise"]).x.shape == (ROWS, 1)  # the advice works


@pytest.mark.parametrize(
    "column",
    {
        "counts, but not in steps of one": [2 * i for i in range(ROWS)],
        "halves": [i / 2 for i in range(ROWS)],
        "whole numbers, some repeated": [min(i, 30) for i in range(ROWS)],
        "constant": [3] * ROWS,
        "almost the label": [*LABELS[:-1], 0],
        "17 digits after the point": [0.1 + 0.2 + i / 3 for i in range(ROWS)],
        "cents of large sums, which merge": [0.01 * i + (i > 30) * 1e8 for i in range(ROWS)],
        "large, but told apart": [100_000_000 * i * i for i in range(ROWS)],
        "seconds of some years": [1.6e9 + 1e6 * i * i + 0.25 for i in range(ROWS)],
        "1e20, some of which merge": [1e20 * (i > 20) + i for i in range(ROWS)],
        "1e20": [1e20 * (1 + i * i) for i in range(ROWS)],
    }.values(),
)
def test_columns_that_only_look_like_those(csv, column):
    data = csv(table_with(column))
    torch.testing.assert_close(data.x[:, 0], torch.tensor(column, dtype=torch.float32))


def test_who_names_a_row_number_gets_it(csv):
    assert csv(table_with(list(range(ROWS))), columns=["extra"]).x[:3].tolist() == [[0], [1], [2]]


def test_a_copy_of_labels_that_are_texts(csv):
    text = table_with(LABELS, labels=["cat" if y else "dog" for y in LABELS])
    refuse(lambda: csv(text), "column 'extra': it repeats the label")


def test_a_column_that_is_the_label_in_the_first_rows_only(csv):
    labels = [i % 2 for i in range(1000)]
    rows = [f"{y if i < 900 else 1 - y},{y}" for i, y in enumerate(labels)]
    assert len(csv("a,label\n" + "\n".join(rows))) == 1000
