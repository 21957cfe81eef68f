"""The roster: who is in the class, read from a CSV file, whoever has written it."""

import csv
import io
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from transferlab.errors import InputError

# What the first row may call a column, in small letters; the first that is there counts. Canvas'
# gradebook has "Student" and "ID", Moodle's list of participants "First name" and "ID number", in
# German "Vorname" and "ID-Nummer".
COLUMNS = {
    "id": ("id", "id number", "id-nummer", "student id", "matriculation number", "username"),
    "name": ("name", "full name", "vollständiger name", "student", "student name"),
    "first": ("first name", "given name", "vorname"),
    "last": ("last name", "surname", "family name", "nachname"),
    "email": ("e-mail", "email", "email address", "e-mail address", "e-mail-adresse", "mail"),
}
LONGEST = 200  # characters of one cell


@dataclass(frozen=True)
class Student:
    """One row of the roster. Two students may have one name, but never one id."""

    id: str
    name: str
    email: str = ""


def read_roster(path: Path, tell: Callable[[str], None] = lambda line: None) -> list[Student]:
    """Return the students of a CSV file with a row of headings: id, name, e-mail.

    Commas, semicolons and tabs are understood, quotes, a byte order mark, UTF-8, UTF-16 and what
    Excel writes on Windows. Without a column of ids, or where its cell is empty, the e-mail address
    is the id. `tell` is called with a line about that, and one about columns that were ignored.
    """
    rows = read_rows(path)
    heading = [cell.casefold() for cell in rows[0][1]]
    places = {
        kind: heading.index(found[0])
        for kind, names in COLUMNS.items()
        if (found := [name for name in names if name in heading])
    }
    if not {"id", "email"} & set(places) or not ({"name"} <= set(places) or "last" in places):
        raise InputError(
            f"{path}, row {rows[0][0]}: the headings are {', '.join(rows[0][1])}; expected a row "
            "such as id,name,e-mail above the students."
        )
    students: dict[str, Student] = {}
    without = 0
    for row, cells in rows[1:]:
        if len(cells) != len(heading):
            raise InputError(
                f"{path}, row {row}: found {len(cells)} cells, expected {len(heading)} as in the "
                'headings. A name with a comma needs quotes: "Ünal, Mara".'
            )
        student = _student({kind: cells[place] for kind, place in places.items()})
        if student.name == "Points Possible":  # the second row of Canvas' gradebook
            continue
        if fault := _fault(student):
            raise InputError(f"{path}, row {row}: {fault}")
        if same := students.get(student.id.casefold()):
            raise InputError(
                f"{path}, row {row}: {student.name} has the id {student.id}, and so has "
                f"{same.name}; every student needs an id of their own."
            )
        students[student.id.casefold()] = student
        without += "id" in places and not cells[places["id"]]
    if not students:
        raise InputError(f"{path} has headings, but no students.")
    if without:
        id_column = rows[0][1][places["id"]]
        tell(f"ids: {without} e-mail addresses, where the column {id_column} was empty")
    if ignored := [h for n, h in enumerate(rows[0][1]) if h and n not in places.values()]:
        tell(f"ignored: {', '.join(ignored[:9])}{', …' * (len(ignored) > 9)}")
    return list(students.values())


def read_rows(path: Path) -> list[tuple[int, list[str]]]:
    """Return number and cells of each row that is not empty."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    text = _decoded(content)
    if "\0" in text:
        raise InputError(f"{path} is no CSV file; save the sheet as CSV (UTF-8).")
    first = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(",;\t", key=first.count)
    try:
        found = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise InputError(f"{path} is no CSV file: {error}.") from error
    cells = [[cell.replace("\xa0", " ").strip() for cell in row] for row in found]
    rows = [(number, row) for number, row in enumerate(cells, start=1) if any(row)]
    if not rows:
        raise InputError(f"{path} is empty; expected a row such as id,name,e-mail.")
    return rows


def _decoded(content: bytes) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", errors="replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")  # Excel's "CSV" on Windows


def _student(cells: dict[str, str]) -> Student:
    name = cells.get("name") or f"{cells.get('first', '')} {cells.get('last', '')}".strip()
    email = cells.get("email", "")
    return Student(cells.get("id") or email, name, email)


def _fault(student: Student) -> str:
    for kind, text in vars(student).items():
        if any(unicodedata.category(letter) in ("Cc", "Zl", "Zp") for letter in text):
            return f"the {kind} {text!r} holds a line break or another control character."
        if len(text) > LONGEST:
            return f"the {kind} {text[:20]!r}… has {len(text)} characters; expected at most 200."
    if not student.name:
        return f"the student with the id {student.id!r} has no name."
    return "" if student.id else f"{student.name} has no id."


# ---- whose folder is it? -------------------------------------------------------------------------


def find_students(students: Iterable[Student], text: str) -> list[Student]:
    """Return the students that a folder's name can mean: none, one, or several of one name.

    An id or an e-mail address is taken before a name. Names are compared without capitals, spaces
    and accents, the family name first or last: *Ünal, Mara* is *mara unal* and Canvas' *unalmara*.
    """
    students, wanted = list(students), _folded(text)
    for kind in ("id", "email"):
        if found := [s for s in students if _folded(getattr(s, kind)) == wanted and wanted]:
            return found
    found = [s for s in students if letters_of(text) in _spellings(s.name)]
    exactly = [s for s in found if _folded(s.name) == wanted]  # Unal is not Ünal, if both are here
    return exactly or found


def student_in(students: Sequence[Student], cells: Iterable[str]) -> Student | None:
    """Return whom the first of these cells means that means one alone; None when none does."""
    found = (find_students(students, cell) for cell in cells)
    return next((meant[0] for meant in found if len(meant) == 1), None)


def _folded(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())


def letters_of(text: str) -> str:
    """Return the letters and digits alone, small and without accents."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in plain if letter.isalnum())


def _spellings(name: str) -> set[str]:
    """Return a name's letters as it stands, and with the family name at the other end."""
    last, comma, first = name.partition(",")
    words = [first, last] if comma else name.split()
    turned = {"".join([*words[cut:], *words[:cut]]) for cut in range(len(words))}
    return {letters_of(spelling) for spelling in {name, "".join(words), *turned}} - {""}
