"""Texts of other people, made safe for a page and for a sheet.

What a student has written is never read as Markdown or HTML; it is shown letter by letter.
"""

import csv
import io
import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import partial
from html import escape
from pathlib import Path

from transferlab.files import hash_text
from transferlab.kit.notebooks import write_text

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; \
style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'">
<meta name="referrer" content="no-referrer">
<title>{title}</title><style>
body {{ font: 1em/1.4 sans-serif; margin: 2em auto; max-width: 75em; padding: 0 1em }}
table {{ border-collapse: collapse; margin-bottom: 2em }}
th, td {{ border-bottom: 1px solid #bbb; padding: .3em .8em; vertical-align: top }}
pre {{ background: #f4f4f4; padding: .8em; white-space: pre-wrap; overflow-wrap: anywhere }}
pre.text {{ font-family: inherit }}
.said {{ border-left: .3em solid #888; padding-left: .8em }}
.passed {{ border-color: #2a7d2a }} .missed {{ border-color: #b03030 }}
.beside {{ display: grid; grid-template-columns: 1fr 1fr; gap: 2em }}
</style></head><body><h1>{title}</h1>
{body}
</body></html>
"""
HINTS = re.compile(r"<details>.*?</details>", re.DOTALL)  # needed while solving, not afterwards
LETTERS = str.maketrans("0123456789", "ghijkmnpqr")  # a sheet would make a number of 12e45
ARG = re.compile(r"\\arg(?![a-zA-Z])")  # which latex2mathml leaves as it is
FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")  # where a spreadsheet begins to compute


def several_lines(text: str, longest: int = 100_000) -> str:
    """Return a text of somebody else's without characters that steer a terminal or a page."""
    kept = "".join(
        c if c in "\n\t" or not unicodedata.category(c).startswith("C") else "\ufffd"
        for c in text[:longest].replace("\r\n", "\n")
    )
    return kept if len(text) <= longest else f"{kept}\n… ({len(text):,} characters; cut here)"


def nobodys_number(*parts: object) -> str:
    """Return a number, of letters, that is always the same and tells nobody's name."""
    return hash_text(" ".join(map(str, parts)))[:10].translate(LETTERS)


def page(title: str, body: str) -> str:
    """Return a page of HTML on which no script runs and which loads nothing."""
    return PAGE.format(title=escape(title), body=body)


def block(text: str, kind: str = "text") -> str:
    """Return a text of somebody else's as HTML, letter by letter; `kind` is "text" or "code"."""
    return f'<pre class="{kind}">{escape(several_lines(text))}</pre>'


def rendered(markdown: str) -> str:
    """Return our own Markdown as HTML; HTML in it is shown as text, formulas need no script."""
    import mistune

    convert = mistune.create_markdown(plugins=["table", "math"])
    convert.renderer.register("inline_math", partial(_formula, display="inline"))
    convert.renderer.register("block_math", partial(_formula, display="block"))
    return str(convert(HINTS.sub("", markdown)))


def _formula(renderer: object, tex: str, display: str) -> str:
    """Return a formula as MathML, which browsers show by themselves; else its TeX."""
    from latex2mathml.converter import convert

    try:
        return str(convert(ARG.sub(r"\\text{arg}\\,", tex), display=display))
    except Exception:  # its errors have no base of their own
        return escape(f"${tex}$")


def cell(value: object) -> str:
    """Return a cell of a sheet; a spreadsheet will not take it for a formula."""
    text = str(value)
    is_formula = text.lstrip("' \t\r\n").startswith(FORMULA) or text[:1] in tuple("\t\r\n")
    return f"'{text}" if is_formula else text


def from_cell(text: str) -> str:
    """Return what `cell` has made a cell from."""
    return text[1:] if text.startswith("'") and cell(text[1:]) == text else text


def write_sheet(path: Path, rows: Iterable[Sequence[object]]) -> None:
    """Write a CSV file that Excel opens well: everything quoted, UTF-8 with a byte order mark."""
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([list(map(cell, row)) for row in rows])
    write_text(path, f"\ufeff{text.getvalue()}")
