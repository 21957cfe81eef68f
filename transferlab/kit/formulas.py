"""Formulas as images, so that the report shows them without a network (and without MathJax)."""

import base64
import html
import io
import re

CODE = re.compile(r"(```.*?```|`[^`\n]*`)", re.DOTALL)
FORMULA = re.compile(r"\$\$(.+?)\$\$|\$(?!\s)([^$\n]+?)(?<!\s)\$", re.DOTALL)


def draw_formulas(markdown: str) -> str:
    r"""Replace `$…$` and `$$…$$` in a Markdown text by images whose alternative text is the TeX.

    matplotlib supports a part of TeX. The rest (`\begin{…}`) stays as it is, which is readable.
    """
    parts = CODE.split(markdown)
    parts[::2] = [FORMULA.sub(_picture, text) for text in parts[::2]]  # the others are code
    return "".join(parts)


def _picture(found: re.Match[str]) -> str:
    import matplotlib
    from matplotlib.font_manager import FontProperties
    from matplotlib.mathtext import math_to_image

    tex = " ".join((found.group(1) or found.group(2)).split())
    svg = io.BytesIO()
    try:
        font = FontProperties(size=12, math_fontfamily="cm")
        with matplotlib.rc_context({"savefig.transparent": True}):
            depth = math_to_image(f"${tex}$", svg, prop=font, format="svg")
    except ValueError:
        return found.group()
    source = base64.b64encode(svg.getvalue()).decode("ascii")
    style = "display:block;margin:1rem auto" if found.group(1) else f"vertical-align:-{depth:.1f}pt"
    return (
        f'<img class="formula" style="{style}" alt="{html.escape(tex)}" '
        f'src="data:image/svg+xml;base64,{source}">'
    )
