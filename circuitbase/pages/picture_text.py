"""A line of text on a picture, in the font that comes with matplotlib."""

from typing import Literal

from matplotlib.axes import Axes

from circuitbase.pages.label_text import FAMILY, printable


def write_line(
    axes: Axes,
    x: float,
    y: float,
    text: str,
    *,
    size: float,
    gid: str,
    color: str = "black",
    weight: Literal["normal", "bold"] = "normal",
) -> None:
    """Writes a line of text from `x` on, at mid-height `y`; `gid` says what it is, and a `label` has a shade behind."""
    axes.text(
        x,
        y,
        printable(text, bold=weight == "bold"),
        fontsize=size,
        fontfamily=FAMILY,
        fontweight=weight,
        color=color,
        bbox={"facecolor": "white", "alpha": 0.72, "edgecolor": "none", "pad": 0.6} if gid == "label" else None,
        gid=gid,
        ha="left",
        va="center",
        parse_math=False,  # a token may hold a $
        zorder=4,
    )
