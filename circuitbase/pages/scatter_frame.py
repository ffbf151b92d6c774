"""The frame of a scatter plot whose labels stand beside the points: title, notes, axes, legend."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from circuitbase.pages.label_text import FAMILY, fitted_lines, printable
from circuitbase.pages.picture_bytes import DOTS_PER_INCH

WIDTH, HEIGHT = 11.0, 6.8  # inches
LEFT, RIGHT, HEAD, FOOT = 0.75, 0.2, 0.8, 1.1
SIZE = (WIDTH - LEFT - RIGHT, HEIGHT - HEAD - FOOT)  # of the axes
LABEL_WIDTH = 2.45
TITLE_SIZE, TEXT_SIZE, SMALL = 13.0, 9.0, 7.5  # points


def scatter_frame(*, title: str, subtitle: str, note: str, x_name: str, y_name: str) -> tuple[Figure, Axes]:
    """Returns a figure with empty axes of `SIZE`."""
    figure = Figure(figsize=(WIDTH, HEIGHT), dpi=DOTS_PER_INCH, facecolor="white")
    FigureCanvasAgg(figure)
    room = WIDTH - 0.4
    [shown] = fitted_lines(title, width=room, font_size=TITLE_SIZE, max_lines=1, bold=True)
    lines = [(shown, 1 - 0.27 / HEIGHT, TITLE_SIZE, "black", "bold")]
    [shown] = fitted_lines(subtitle, width=room, font_size=TEXT_SIZE, max_lines=1)
    lines.append((shown, 1 - 0.53 / HEIGHT, TEXT_SIZE, "#444444", "normal"))
    [shown] = fitted_lines(note, width=room, font_size=SMALL, max_lines=1)
    lines.append((shown, 0.14 / HEIGHT, SMALL, "#555555", "normal"))
    for text, y, size, color, weight in lines:
        figure.text(
            0.2 / WIDTH,
            y,
            text,
            fontsize=size,
            fontfamily=FAMILY,
            color=color,
            fontweight=weight,
            va="center",
            parse_math=False,
        )
    axes = figure.add_axes((LEFT / WIDTH, FOOT / HEIGHT, SIZE[0] / WIDTH, SIZE[1] / HEIGHT))
    axes.set_xlabel(printable(x_name), size=TEXT_SIZE, family=FAMILY, parse_math=False)
    axes.set_ylabel(printable(y_name), size=TEXT_SIZE, family=FAMILY, parse_math=False)
    axes.tick_params(labelsize=SMALL, labelfontfamily=FAMILY)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure, axes


def draw_legend(figure: Figure, entries: Sequence[Line2D]) -> None:
    """Draws the legend in one line below the axes."""
    figure.legend(
        handles=list(entries),
        loc="lower left",
        bbox_to_anchor=(0.1 / WIDTH, 0.24 / HEIGHT),
        ncols=max(1, len(entries)),
        frameon=False,
        prop={"family": FAMILY, "size": SMALL},
        handlelength=1.4,
        columnspacing=1.2,
        borderaxespad=0.0,
    )


def marker_entry(label: str, *, marker: str, face: str, edge: str) -> Line2D:
    """Returns a legend entry of one kind of point."""
    return Line2D(
        [], [], linestyle="none", marker=marker, markersize=6, markerfacecolor=face, markeredgecolor=edge, label=label
    )
