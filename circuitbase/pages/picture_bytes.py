"""A figure as the bytes of a picture file, the same bytes whenever the figure is the same."""

from io import BytesIO
from typing import Literal

from matplotlib import rc_context
from matplotlib.figure import Figure

Suffix = Literal[".png", ".svg"]
DOTS_PER_INCH = 150
_METADATA = {".png": {"Software": None}, ".svg": {"Date": None, "Creator": None}}


def picture_bytes(figure: Figure, suffix: Suffix) -> bytes:
    """Returns the bytes of a PNG or SVG file; equal figures give equal bytes."""
    content = BytesIO()
    # letters as shapes, so that the picture looks the same where the font is missing
    with rc_context({"svg.hashsalt": "circuitbase", "svg.fonttype": "path"}):
        figure.savefig(content, format=suffix[1:], metadata=_METADATA[suffix])
    return content.getvalue()
