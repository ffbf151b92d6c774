"""What stands below a picture of a circuit: how to read it, and its legend, in as many lines as its width needs."""

from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from circuitbase.pages.circuit_drawing import CircuitDrawing
from circuitbase.pages.label_text import FAMILY, fitted_lines, text_width
from circuitbase.pages.picture_bytes import DOTS_PER_INCH
from circuitbase.pages.picture_text import write_line
from circuitbase.pages.plot_legend import is_crowded, legend_entries

SIZE = 7.5  # points
NOTE_LINE, LEGEND_LINE, ABOVE, BETWEEN, BELOW = 0.15, 0.185, 0.09, 0.05, 0.09  # inches
HANDLE, GAP = 0.37, 0.14  # inches of a legend entry beside its text
KEY = (
    "Effects run upwards. Node area and edge width: mean influence. Bold: commonest tokens where a feature peaks; "
    "below, its name and the share of traces with it."
)
CROWDED_KEY = " Weak edges are drawn fainter."


@dataclass(frozen=True)
class Foot:
    """Lines of the note, legend entries and how many columns they stand in; `height` in inches."""

    note: tuple[str, ...]
    entries: tuple[Line2D, ...]
    legend_columns: int
    height: float


def foot_of(drawing: CircuitDrawing, *, width: float) -> Foot:
    """Returns the foot of a picture whose text may be `width` inches wide."""
    key = KEY + (CROWDED_KEY if is_crowded(drawing.edges) else "")
    note = fitted_lines(key, width=width, font_size=SIZE, max_lines=4)
    entries = legend_entries(drawing)
    columns = _legend_columns([str(entry.get_label()) for entry in entries], width=width)
    legend_lines = -(-len(entries) // columns)
    height = ABOVE + NOTE_LINE * len(note) + BETWEEN + LEGEND_LINE * legend_lines + BELOW
    whole = round(height * DOTS_PER_INCH) / DOTS_PER_INCH
    return Foot(note=tuple(note), entries=tuple(entries), legend_columns=columns, height=whole)


def draw_foot(axes: Axes, foot: Foot, *, left: float) -> None:
    """Draws the foot below y = 0 of axes in inches."""
    for number, line in enumerate(foot.note):
        write_line(axes, left, -ABOVE - NOTE_LINE * (number + 0.5), line, size=SIZE, color="#444444", gid="note")
    axes.legend(
        handles=list(foot.entries),
        loc="upper left",
        bbox_to_anchor=(left, -ABOVE - NOTE_LINE * len(foot.note) - BETWEEN),
        bbox_transform=axes.transData,
        ncols=foot.legend_columns,
        frameon=False,
        prop={"family": FAMILY, "size": SIZE},
        handlelength=2.4,
        handletextpad=0.8,
        columnspacing=1.3,
        labelspacing=0.45,
        borderpad=0.2,
        borderaxespad=0.0,
    )


def _legend_columns(labels: list[str], *, width: float) -> int:
    """Returns the largest number of columns, filled downwards, that fit."""
    widths = [text_width(label, font_size=SIZE) + HANDLE + GAP for label in labels]
    for columns in range(len(widths), 1, -1):
        lines, longer = divmod(len(widths), columns)
        # the first columns hold one entry more where they cannot all hold as many
        sizes = [lines + (column < longer) for column in range(columns)]
        starts = [sum(sizes[:column]) for column in range(columns)]
        needed = sum(max(widths[start : start + size]) for start, size in zip(starts, sizes, strict=True))
        if needed <= width:
            return columns
    return 1
