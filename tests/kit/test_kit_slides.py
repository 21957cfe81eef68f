"""The slides: what of a lesson stands on them, what only the speaker sees, and no code."""

import re
from pathlib import Path

import nbformat
import pytest
from nbformat import v4

from transferlab.errors import InputError
from transferlab.kit.lessons import find_lessons
from transferlab.kit.slides.decks import slides_of, write_decks
from transferlab.kit.slides.handouts import write_handouts

COURSE = Path(__file__).parents[2] / "course"
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5E"
TABLE = "<table><tr><td>Letters help</td><td>holds</td></tr></table>"


def shown(kind: str, content: str, alt: str = "") -> nbformat.NotebookNode:
    metadata = {kind: {"alt": alt}} if alt else {}
    output = v4.new_output("display_data", {kind: content}, metadata=metadata)
    return v4.new_code_cell("secret = 1 + 1", outputs=[output])


@pytest.fixture
def course(tmp_path: Path) -> Path:
    """A course of one lesson, with a row in TEACHING.md."""
    cells = [
        v4.new_markdown_cell("# Why?\n\n**You will be able to**\n\n- say $y = 2$;\n- see."),
        v4.new_markdown_cell("## The question\n\nA story.\n\n**Is it so?**"),
        v4.new_markdown_cell("## One picture\n\nLook at the left half."),
        shown("image/png", PIXEL, 'a "red" dot'),
        v4.new_markdown_cell("It is red.\n\n## Two more\n\nAnd now?"),
        shown("text/html", '<img src="data:image/svg+xml;base64,AA" alt="locks">'),
        shown("text/plain", "just text"),
        v4.new_markdown_cell("## The claims\n\nWritten down before."),
        shown("text/html", TABLE),
        v4.new_markdown_cell("## 2. A formula\n\n$$y = 2$$\n\n| a | b |\n| - | - |\n| 1 | 2 |"),
        v4.new_markdown_cell("## Only words\n\nNothing to see."),
        v4.new_markdown_cell("## Decide\n\nTo buy?\n\n<details><summary>Answer</summary>\n\nNo."),
        v4.new_markdown_cell(
            "## Your turn\n\n1. Try.\n\n## Recap\n\n- **Short.** And more.\n- End"
        ),
        v4.new_markdown_cell("## References\n\n- Somebody (2020)"),
    ]
    another = "<details><summary>Check</summary>\n\nOf another question.\n\n</details>"
    cells[11].source += f"\n\n</details>\n\n{another}"
    (tmp_path / "course/01_a").mkdir(parents=True)
    about = {"transferlab": {"question": "Is it *really* so?"}}
    path = tmp_path / "course/01_a/01_why.ipynb"
    nbformat.write(v4.new_notebook(cells=cells, metadata=about), path)
    row = '| [Why?](01_a/01_why.ipynb) | "It is magic." | Show the dot. |\n'
    (tmp_path / "course/TEACHING.md").write_text(f"| lesson | wrong | live |\n| - | - | - |\n{row}")
    return tmp_path / "course"


def test_a_lesson_becomes_slides(course):
    (lesson,) = find_lessons(course)
    slides = list(slides_of(lesson, "a hint"))
    headings = [slide.heading for slide in slides]
    expected = ["Why?", "The question", "One picture", "Two more", "The claims"]
    assert headings == [*expected, "A formula", "A formula", "Decide", "Recap"]
    title, question, picture, drawing, claims, formula, table, decide, recap = slides
    assert "<math" in title.seen and title.notes == "a hint"
    assert "<strong>Is it <em>really</em> so?</strong>" in question.seen
    assert "A story." in question.notes
    assert 'alt="a &quot;red&quot; dot"' in picture.seen and picture.kind == "picture"
    assert (
        " ".join(re.sub("<.*?>", "", picture.notes).split()) == "Look at the left half. It is red."
    )
    assert 'alt="locks"' in drawing.seen
    assert TABLE in claims.seen
    assert "<math" in formula.seen and "<td>1</td>" in table.seen
    assert "Nothing to see." in table.notes  # what has no slide is said over the one before
    assert "<figcaption>a &quot;red&quot; dot</figcaption>" in picture.seen
    assert "Of another question" not in decide.seen
    assert re.search(r"To buy\?.*class=\"fragment\".*No\.", decide.seen, re.DOTALL)
    assert "<li>Short.</li>" in recap.seen and "And more" not in recap.seen


def test_decks_need_no_network_and_show_no_code(course, tmp_path):
    pytest.importorskip("sphinx_revealjs", reason="needs sphinx-revealjs, of the extra site")
    (deck,) = write_decks(find_lessons(course), course, tmp_path / "slides")
    text = deck.read_text()
    assert "secret" not in text and "Somebody" not in text
    assert "It is magic." in text and "Show the dot." in text
    for name in re.findall(r'(?:src|href)="(?!data:)([^"#]+)"', text):
        assert (deck.parent / name).is_file(), name
    assert 'href="01_a/01_why.html"' in (tmp_path / "slides/index.html").read_text()


def test_every_lesson_of_the_course_has_a_deck():
    for lesson in find_lessons(COURSE):
        slides = list(slides_of(lesson))
        kinds = [slide.kind for slide in slides]
        assert kinds[1] == "question" and slides[-1].heading == "Recap", lesson.name
        assert kinds.count("picture") >= 3, lesson.name
        for slide in slides:
            assert "<code>claims." not in slide.seen and 'alt=""' not in slide.seen, lesson.name


def test_a_hand_out_needs_its_page_and_a_browser(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(InputError, match="printing needs a browser; found none of chromium"):
        write_handouts(["01_a/01_why"], tmp_path, tmp_path)
    monkeypatch.setattr("shutil.which", lambda name: "/bin/false")
    with pytest.raises(InputError, match=r"no page .*01_why.html; make the site first"):
        write_handouts(["01_a/01_why"], tmp_path, tmp_path)
    (tmp_path / "01_a").mkdir()
    (tmp_path / "01_a/01_why.html").write_text("<p>x</p>")
    with pytest.raises(InputError, match=r"01_why.html could not be printed"):
        write_handouts(["01_a/01_why"], tmp_path, tmp_path)
