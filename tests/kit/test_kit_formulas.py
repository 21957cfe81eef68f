"""Formulas in the report."""

import html
import re

import pytest

from transferlab.kit.formulas import draw_formulas


@pytest.mark.parametrize(
    "tex",
    [
        r"y = f(Wx + b)",
        r"W \leftarrow W - \eta \nabla L",
        r"L_{\mathrm{pre}} = \frac{1}{N}\sum_{i=1}^{N} \ell(f(x_i;\theta), y_i)",
        r"L_{\mathrm{tar}} + \lambda \Vert\theta - \theta_{\mathrm{pre}}\Vert^2",
        r"W^* = \arg\min_W L(W, D_{\mathrm{pre}})",
    ],
)
@pytest.mark.parametrize("marks", ["$", "$$"])
def test_a_formula_becomes_a_picture_that_can_be_read_aloud(tex: str, marks: str) -> None:
    page = draw_formulas(f"before {marks}{tex}{marks} after")
    assert page.startswith('before <img class="formula"')
    assert page.endswith("> after")
    assert html.unescape(re.search('alt="(.*?)"', page).group(1)) == tex


@pytest.mark.parametrize(
    "text",
    [
        "`$HOME$` and `a $x$`",
        "```sh\necho $x$\n```",
        "it costs $5 or $ 10",
        r"$$\begin{aligned} a &= b \end{aligned}$$",
    ],
)
def test_code_prices_and_what_matplotlib_does_not_know_stay(text: str) -> None:
    assert draw_formulas(text) == text
