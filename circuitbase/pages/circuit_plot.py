"""One PNG of a circuit: input tokens below, layers above them, outputs on top."""

from collections.abc import Sequence
from io import BytesIO
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Circle, PathPatch, Rectangle, RegularPolygon
from matplotlib.path import Path as CurvePath

from circuitbase.pages.circuit_drawing import CircuitDrawing, DrawnEdge, DrawnUnit
from circuitbase.pages.label_text import FAMILY, fitted_lines, printable
from circuitbase.pages.layered_layout import Layout, Place, layered
from circuitbase.pages.plot_legend import FILL, NEGATIVE, OUTLINE, POSITIVE, legend_entries, line_width, opacity

DOTS_PER_INCH = 150
SMALLEST, LARGEST = 0.07, 0.2  # radius of a node, inches
MARGIN_LEFT, MARGIN_RIGHT, HEAD, FOOT = 0.95, 0.25, 0.9, 0.62  # inches
LABEL_WIDTH, LABEL_LINES = 1.32, 2  # inches, lines
TITLE_SIZE, SUBTITLE_SIZE, LABEL_SIZE, NAME_SIZE, SMALL = 14.0, 9.0, 8.5, 6.8, 7.5  # points
LABEL_LINE, NAME_LINE = 0.145, 0.115  # inches
KEY = (
    "Effects run upwards. Node area and edge width: mean influence. Bold: commonest tokens where a feature peaks; "
    "below, its name and the share of traces with it."
)


def circuit_png(drawing: CircuitDrawing) -> bytes:
    """Returns the picture as the bytes of a PNG file; equal circuits give equal bytes."""
    content = BytesIO()
    circuit_figure(drawing).savefig(content, format="png", metadata={"Software": None})
    return content.getvalue()


def circuit_figure(drawing: CircuitDrawing) -> Figure:
    """Returns the picture as a figure, sized to what it holds; its coordinates are inches.

    Colour says an edge's sign, width its mean influence, opacity the share of traces that have it;
    a node's area says its unit's mean influence.
    """
    layout = layered(drawing.units, drawing.edges, n_rows=len(drawing.row_names))
    width, height = MARGIN_LEFT + layout.width + MARGIN_RIGHT, FOOT + layout.height + HEAD
    figure = Figure(figsize=(width, height), dpi=DOTS_PER_INCH, facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(-MARGIN_LEFT, layout.width + MARGIN_RIGHT), ylim=(-FOOT, layout.height + HEAD))
    axes.axis("off")
    _draw_rows(axes, drawing, layout)
    radii = _radii(drawing.units)
    _draw_edges(axes, drawing.edges, layout, radii)
    for unit in drawing.units:
        _draw_unit(axes, unit, layout.places[unit.id], radii[unit.id])
    _draw_head(axes, drawing, layout)
    _draw_legend(axes, drawing)
    return figure


def _draw_rows(axes: Axes, drawing: CircuitDrawing, layout: Layout) -> None:
    across = layout.width + MARGIN_LEFT + MARGIN_RIGHT
    for number, (name, (bottom, top)) in enumerate(zip(drawing.row_names, layout.bands, strict=True)):
        shade = "#f4f5f7" if number % 2 == 0 else "white"
        axes.add_patch(
            Rectangle((-MARGIN_LEFT, bottom), across, top - bottom, facecolor=shade, edgecolor="none", zorder=0)
        )
        _write(axes, -MARGIN_LEFT + 0.1, (bottom + top) / 2, name, size=LABEL_SIZE, color="#555555", gid="row")


def _draw_edges(axes: Axes, edges: Sequence[DrawnEdge], layout: Layout, radii: dict[str, float]) -> None:
    largest = max((edge.influence for edge in edges), default=0.0)
    for edge in sorted(edges, key=lambda edge: edge.influence):
        axes.add_patch(
            PathPatch(
                _curve(
                    layout.places[edge.source],
                    layout.places[edge.target],
                    above=radii[edge.source],
                    below=radii[edge.target],
                ),
                facecolor="none",
                edgecolor=POSITIVE if edge.weight >= 0 else NEGATIVE,
                linewidth=line_width(edge.influence, largest),
                alpha=opacity(edge.presence),
                capstyle="butt",
                zorder=1,
            )
        )


def _curve(start: Place, end: Place, *, above: float, below: float) -> CurvePath:
    """Returns a curve from the top of one node to the bottom of another."""
    first, last = (start.x, start.y + above), (end.x, end.y - below)
    lift = max(0.25, 0.45 * abs(last[1] - first[1]))
    points = [first, (first[0], first[1] + lift), (last[0], last[1] - lift), last]
    return CurvePath(points, [CurvePath.MOVETO, CurvePath.CURVE4, CurvePath.CURVE4, CurvePath.CURVE4])


def _draw_unit(axes: Axes, unit: DrawnUnit, place: Place, radius: float) -> None:
    style: dict[str, Any] = {"facecolor": FILL[unit.role], "edgecolor": OUTLINE, "linewidth": 0.8, "zorder": 3}
    if unit.role == "error":
        axes.add_patch(RegularPolygon((place.x, place.y), 4, radius=radius * 1.15, **style))
    else:
        axes.add_patch(Circle((place.x, place.y), radius, **style))
    lines = fitted_lines(unit.label, width=LABEL_WIDTH, font_size=LABEL_SIZE, bold=True, max_lines=LABEL_LINES)
    [name] = fitted_lines(f"{unit.name} · {unit.presence:.0%}", width=LABEL_WIDTH, font_size=NAME_SIZE, max_lines=1)
    left, label_height = place.x + radius + 0.06, len(lines) * LABEL_LINE
    top = place.y + (label_height + NAME_LINE) / 2
    for number, line in enumerate(lines):
        y = top - (number + 0.5) * LABEL_LINE
        _write(axes, left, y, line, size=LABEL_SIZE, weight="bold", gid="label")
    _write(axes, left, top - label_height - NAME_LINE / 2, name, size=NAME_SIZE, color="#555555", gid="label")


def _draw_head(axes: Axes, drawing: CircuitDrawing, layout: Layout) -> None:
    left, top = -MARGIN_LEFT + 0.1, layout.height + HEAD
    width = MARGIN_LEFT + layout.width
    [title] = fitted_lines(drawing.title, width=width, font_size=TITLE_SIZE, max_lines=1, bold=True)
    _write(axes, left, top - 0.26, title, size=TITLE_SIZE, weight="bold", gid="head")
    for number, line in enumerate(fitted_lines(drawing.subtitle, width=width, font_size=SUBTITLE_SIZE, max_lines=2)):
        _write(axes, left, top - 0.54 - 0.17 * number, line, size=SUBTITLE_SIZE, color="#444444", gid="head")


def _draw_legend(axes: Axes, drawing: CircuitDrawing) -> None:
    entries = legend_entries(drawing)
    axes.legend(
        handles=entries,
        loc="lower left",
        bbox_to_anchor=(0.004, 0.0),
        ncols=len(entries),
        frameon=False,
        prop={"family": FAMILY, "size": SMALL},
        handlelength=1.6,
        columnspacing=1.3,
        borderaxespad=0.1,
    )
    _write(axes, -MARGIN_LEFT + 0.1, -0.16, KEY, size=SMALL, color="#444444", gid="note")


def _write(
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
    """Writes a line of text from `x` on, at mid-height `y`; `gid` says what it is."""
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


def _radii(units: Sequence[DrawnUnit]) -> dict[str, float]:
    """Returns node radii in inches; area grows with influence. Outputs, which have none, are largest."""
    largest = max((unit.influence for unit in units if unit.role != "output"), default=0.0)
    return {
        unit.id: LARGEST
        if unit.role == "output" or largest == 0
        else max(SMALLEST, LARGEST * (unit.influence / largest) ** 0.5)
        for unit in units
    }
