"""Sphinx's settings for the site. `build.py` copies this file beside the pages."""

import re

from sphinx.application import Sphinx

project = "TransferLab"
copyright = "2026 The TransferLab developers"

extensions = [f"sphinx.ext.{name}" for name in ("autodoc", "napoleon", "viewcode", "mathjax")]
extensions.append("myst_nb")

# Notebooks are shown as they were kept: nothing is run here.
nb_execution_mode = "off"
nb_render_plugin = "transferlab"  # pictures.py
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4

default_role = "code"  # a docstring's single backticks
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 90
toc_object_entries_show_parents = "hide"

# Everything lies in the site: a browser asks no other host.
mathjax_path = "mathjax/startup.js"
mathjax3_config = {"loader": {"load": ["input/tex", "output/svg", "a11y/assistive-mml"]}}

html_theme = "furo"
html_title = "TransferLab"
html_favicon = "_static/icon.svg"
html_static_path, html_extra_path = ["_static"], ["_extra"]
html_css_files, html_js_files = ["site.css"], ["scrolling.js"]
html_copy_source = False
pygments_style, pygments_dark_style = "a11y-high-contrast-light", "a11y-high-contrast-dark"

MARKUP = re.compile(r"(?<=, )\*(?=\w)|\|(?=\w+\|)|(?<=\|\w)\|")
BACK = re.compile(r'<a class="viewcode-back" href="(?:\.\./)*([^"]+)">.*?</a>')
SIGNATURE = re.compile(r"<dl>\n((?:<dd>.*</dd>\n)+)</dl>")


def keep_as_text(*event: object) -> None:
    """Let the asterisk of (N, *shape) and the bars of |τ| in docstrings be no markup."""
    lines: list[str] = event[-1]
    lines[:] = [MARKUP.sub(r"\\\g<0>", line) for line in lines]


def repair_html(app: Sphinx, page: str, template: str, context: dict, doctree: object) -> None:
    """Rank the captions in the margin; no lists as signatures, and no links to nowhere in code."""
    ranked, names = 'role="heading" aria-level="2"', app.env.domains.python_domain.objects
    if tree := context.get("furo_navigation_tree"):
        context["furo_navigation_tree"] = tree.replace('role="heading"', ranked)
    if body := context.get("body"):
        known = {f"{found.docname}.html#{name}" for name, found in names.items()}
        body = BACK.sub(lambda link: link[0] if link[1] in known else "", body)
        context["body"] = SIGNATURE.sub(lambda dl: re.sub(r"\bd[ld]>", "span>", dl[0]), body)


def setup(app: Sphinx) -> None:
    """Connect the repairs; the one of docstrings before napoleon, the other after the theme."""
    app.connect("autodoc-process-docstring", keep_as_text, priority=400)
    app.connect("html-page-context", repair_html, priority=900)
