"""What myst-nb leaves out of a notebook's pictures."""

from docutils import nodes
from myst_nb.core.render import MimeData, NbElementRenderer


class Pictures(NbElementRenderer):
    """Draws outputs as myst-nb does, and keeps the alternative texts of pictures."""

    def render_image(self, data: MimeData) -> list[nodes.Element]:
        """Return a picture with the text that stands in its output's metadata."""
        drawn = super().render_image(data)
        drawn[0]["alt"] = data.output_metadata.get(data.mime_type, {}).get("alt", "")
        return drawn
