"""Feedback pages: complete, each student's own, and nothing of a hostile answer comes alive."""

import json
import re
import shutil
import zipfile

import pytest
from toy_class import CHAPTER, named

from transferlab.kit.classroom.feedback import write_feedback
from transferlab.kit.classroom.records import Decision
from transferlab.kit.classroom.roster import Student
from transferlab.kit.classroom.status import standings
from transferlab.kit.classroom.texts import cell, from_cell, page, rendered, several_lines
from transferlab.kit.classroom.written import write_answers

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
HOSTILE = [
    "<script>document.title='owned'; console.error(1)</script>",
    "<img src=x onerror=\"document.title='owned'\"><svg onload=\"document.title='owned'\"></svg>",
    "</pre></div><iframe src='http://127.0.0.1:9/i'></iframe><script>document.title='owned'</script>",
    "[a](javascript:alert(1)) ![b](http://127.0.0.1:9/p.png) <a href='javascript:alert(1)'>x</a>",
    "```mermaid\ngraph TD\nclick A javascript:alert(1)\n```",
    "<meta http-equiv=refresh content='0;url=http://127.0.0.1:9/m'><base href=http://127.0.0.1:9/>",
    "<style>@import 'http://127.0.0.1:9/c.css';</style><link rel=stylesheet href=//h>",
    "<form action=http://127.0.0.1:9><input autofocus onfocus=alert(1)></form>\u202e\x1b\ud800\x00",
]


def pages_of(records, edition, tmp_path):
    pages, without = write_feedback(
        records, edition, standings(records, CHAPTER), tmp_path / "feedback"
    )
    return {p.relative_to(tmp_path / "feedback").as_posix(): p.read_text() for p in pages}, without


def test_a_page_says_what_became_of_everything(marked, edition, solved, released, tmp_path):
    named(released, "double")["source"] = "def double(n):\n    return 4"
    named(released, "halve")["source"] = "def halve(n):\n    return n // 2"
    named(released, "halve_check")["source"] = "pass"
    named(released, "why")["source"] = "Theirs alone."
    records = marked(s1=solved, s3=released)
    (submission,) = records.submissions(CHAPTER)["s1"]
    records.add_decisions([(submission, Decision("why", 0.5, "Say <b>why</b>."))])
    pages, without = pages_of(records, edition, tmp_path)
    assert without == ["Bo Li: missing"]
    good, bad = pages["s1/feedback.html"], pages["s3/feedback.html"]
    assert "9.5 of 10 points" in good and "why: by hand, 0.5 of 1 points" in good
    assert "Your teacher: Say &lt;b&gt;why&lt;/b&gt;." in good and "Because labels are few." in good
    assert "Ünal, Mara" in good and "Ada" not in good and "Theirs alone." not in good
    assert "0 of 10 points so far; 1 wait for your teacher" in bad
    assert "double_check: failed, 0 of 2 points" in bad
    assert "You have learnt the case by heart." in bad and "return 4" in bad
    assert "A half of 3 is 1.5; // forgets the rest." in bad
    assert "Pile_check: not answered, 0 of 4 points" in bad
    assert "halve_check: the cell was changed; ours is used." in bad
    for text in pages.values():
        assert "14" not in text.partition("<body>")[2], "a hidden test"
        assert "Few labels." not in text and "One point." not in text, "a solution, a rubric"
        assert "Content-Security-Policy" in text and "default-src &#39;none" not in text


def test_what_cannot_be_read_has_a_page_with_the_reason(marked, edition, tmp_path):
    records = marked(s2=b"{")
    pages, _ = pages_of(records, edition, tmp_path)
    assert "unreadable: your teacher has to look at it" in pages["s2/feedback.html"]
    assert "was the file cut off?" in pages["s2/feedback.html"]
    (submission,) = records.submissions(CHAPTER)["s2"]
    records.add_decisions([(submission, Decision(released=("unreadable",)))])
    assert "unreadable: 0 points" in pages_of(records, edition, tmp_path)[0]["s2/feedback.html"]


def test_moodle_and_canvas_find_the_student_by_the_name(marked, edition, solved, tmp_path):
    files = {
        "all/Mara Ünal_12345_assignsubmission_file_/exercises.ipynb": solved,
        "all/boli_LATE_777_888_exercises-1.ipynb": solved,
        "all/Ada_5_assignsubmission_file_my work.ipynb": solved,
    }
    records = marked(files)
    pages, _ = pages_of(records, edition, tmp_path)
    assert set(pages) == {
        "Mara Ünal_12345_assignsubmission_file_/feedback.html",
        "boli_LATE_777_888_feedback.html",
        "Ada_5_assignsubmission_file_/feedback.html",
    }
    with zipfile.ZipFile(tmp_path / "feedback.zip") as archive:
        assert {name: archive.read(name).decode() for name in archive.namelist()} == pages
    assert [one.late for one in standings(records, CHAPTER)] == ["", "late", ""]


def test_what_a_student_names_leads_to_no_one_elses_page(marked, edition, solved, tmp_path):
    files = {
        "Ada_5_assignsubmission_file_/Bo Li_9_assignsubmission_file_/x.ipynb": solved,
        "s2/work/Ada_5_assignsubmission_file_/x.ipynb": solved,
    }
    pages, _ = pages_of(marked(files), edition, tmp_path)
    assert set(pages) == {"s2/feedback.html", "Ada_5_assignsubmission_file_/feedback.html"}
    assert "<p>Ada</p>" in pages["Ada_5_assignsubmission_file_/feedback.html"]


def test_two_students_never_share_a_page(records, marked, edition, solved, tmp_path):
    marked({"Ada_5_assignsubmission_file_/x.ipynb": solved})
    records.add_students([Student("s3", "Cy"), Student("s2", "Ada")])  # the roster was wrong
    marked({"Ada_5_assignsubmission_file_/x.ipynb": solved})
    pages, _ = pages_of(records, edition, tmp_path)
    assert sorted(pages) == ["Ada_5_assignsubmission_file_/feedback.html", "s3/feedback.html"]
    assert "<p>Cy</p>" in pages["s3/feedback.html"]


def test_no_id_leads_out_of_the_folder_or_into_another_students(
    records, marked, edition, solved, tmp_path
):
    ids = ["../../up", "a/b", "a_b", "A_B", ".", "CON:<x>", "x" * 190]
    records.add_students([Student(i, f"Name {n}") for n, i in enumerate(ids)])
    marked({f"Name {n}.ipynb": solved for n in range(len(ids))})
    pages, _ = pages_of(records, edition, tmp_path)
    assert len(pages) == len(ids) == len({name.lower() for name in pages})
    assert not any(".." in name or name.count("/") != 1 for name in pages)
    for n in range(len(ids)):
        assert sum(f"<p>Name {n}</p>" in text for text in pages.values()) == 1


def hostile_pages(marked, edition, solved, tmp_path):
    """Write the feedback and the page of written answers of a hostile submission."""
    named(solved, "why")["source"] = "\n\n".join(HOSTILE)
    named(solved, "double")["source"] = "\n\n".join(HOSTILE)
    bad = "def halve(n):\n    raise ValueError(" + repr(HOSTILE[0] + HOSTILE[1]) + ")"
    named(solved, "halve")["source"] = bad
    solved["metadata"]["kernelspec"] = {"name": HOSTILE[0]}
    solved["cells"][0]["metadata"]["tags"] = [HOSTILE[1]]
    records = marked(s1=json.dumps(solved).encode())
    write_answers(records, edition, tmp_path / "written.csv")
    pages_of(records, edition, tmp_path)
    return [tmp_path / "feedback" / "s1" / "feedback.html", tmp_path / "written.html"]


def test_hostile_text_stays_text(marked, edition, solved, tmp_path):
    for path in hostile_pages(marked, edition, solved, tmp_path):
        body = path.read_text().partition("<body>")[2].lower()
        for tag in (
            "script",
            "img",
            "svg",
            "iframe",
            "meta",
            "base",
            "link",
            "style",
            "form",
            "a ",
        ):
            assert not re.search(rf"<{tag}\b", body), f"{path.name}: {tag}"
        assert "&lt;script&gt;document.title" in body
        assert not {"\x00", "\x1b", "\u202e"} & set(body)


@pytest.mark.skipif(CHROMIUM is None, reason=f"needs a browser; found none of {', '.join(NAMES)}")
def test_in_a_browser_nothing_runs_and_nothing_is_asked_for(marked, edition, solved, tmp_path):
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    heard, asked = [], []
    live = tmp_path / "live.html"  # to see that this test hears what it listens for
    live.write_text("<img src=http://127.0.0.1:9/x.png><script>console.error('alive')</script>")
    tight = tmp_path / "tight.html"  # text that was not escaped would still be stopped
    tight.write_text(page("tight", "".join(HOSTILE[:2])))
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        tab = browser.new_page()
        tab.on("console", lambda message: heard.append(message.text))
        tab.on("request", lambda request: asked.append(request.url))
        tab.goto(live.as_uri())
        assert "alive" in heard and "http://127.0.0.1:9/x.png" in asked
        tab.goto(tight.as_uri())
        assert tab.title() == "tight"
        for path in hostile_pages(marked, edition, solved, tmp_path):
            heard.clear(), asked.clear()
            tab.goto(path.as_uri())
            assert "owned" not in tab.title() and heard == []
            assert asked == [path.as_uri()]
            assert "document.title='owned'" in tab.inner_text("body")
        browser.close()


def test_texts_for_pages_and_sheets():
    assert rendered("a **b** <script>x</script>\n<details>Hint</details>") == (
        "<p>a <strong>b</strong> &lt;script&gt;x&lt;/script&gt;</p>\n"
    )
    formula = rendered(r"$\alpha_1$ <b>")
    assert "<math" in formula and "&#x003B1;" in formula and "$" not in formula
    assert rendered("$a_1_2$") == "<p>$a_1_2$</p>\n", "what is no TeX is shown as it is"
    assert several_lines("a\r\nb\tc\x1b\ud800") == "a\nb\tc\ufffd\ufffd"
    assert several_lines("abcdef", 3) == "abc\n… (6 characters; cut here)"
    for text in ("=1", "+1", "-1", "@a", " =1", "\t=1", "\r1", "＝1", "'=1"):
        assert cell(text) == f"'{text}" and from_cell(cell(text)) == text
    for text in ("1.5", "'quoted'", "a=b", ""):
        assert from_cell(cell(text)) == cell(text) == text
