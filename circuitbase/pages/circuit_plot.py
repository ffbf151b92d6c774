"""One PNG or SVG of a circuit: input tokens below, layers above them, outputs on top."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Circle, PathPatch, Rectangle, RegularPolygon
from matplotlib.path import Path as CurvePath

from circuitbase.pages.circuit_drawing import CircuitDrawing, DrawnEdge, DrawnUnit
from circuitbase.pages.circuit_foot import draw_foot, foot_of
from circuitbase.pages.label_text import fitted_lines
from circuitbase.pages.layered_layout import LINE_HEIGHT, Layout, Place, layered
from circuitbase.pages.picture_bytes import DOTS_PER_INCH, picture_bytes
from circuitbase.pages.picture_text import write_line
from circuitbase.pages.plot_legend import (
    DASHES,
    FILL,
    NEGATIVE,
    OUTLINE,
    POSITIVE,
    faintness,
    is_crowded,
    line_width,
    opacity,
)

SMALLEST, LARGEST = 0.07, 0.2  # radius of a node, inches
MARGIN_LEFT, MARGIN_RIGHT, HEAD, COLUMN_HEAD = 0.95, 0.25, 0.9, 0.3  # inches
LABEL_WIDTH, LABEL_LINES = 1.32, 2  # inches, lines
TITLE_SIZE, SUBTITLE_SIZE, LABEL_SIZE, NAME_SIZE = 14.0, 9.0, 8.5, 6.8  # points
LABEL_LINE, NAME_LINE = 0.145, 0.115  # inches
BOW = 0.3  # inches by which an edge that would run straight through other nodes bends to the left, away from labels


def circuit_png(drawing: CircuitDrawing) -> bytes:
    """Returns the picture as the bytes of a PNG file; equal circuits give equal bytes."""
    return picture_bytes(circuit_figure(drawing), ".png")


def circuit_figure(drawing: CircuitDrawing) -> Figure:
    """Returns the picture as a figure, sized to what it holds; its coordinates are inches.

    Colour and dashes say an edge's sign, width its mean influence, opacity the share of traces that have it;
    a node's area says its unit's mean influence.
    """
    layout = layered(drawing.units, drawing.edges, n_rows=len(drawing.row_names), columns=drawing.column_names)
    head = HEAD + (COLUMN_HEAD if drawing.column_names else 0.0)
    width = MARGIN_LEFT + layout.width + MARGIN_RIGHT
    foot = foot_of(drawing, width=width - 0.2)
    height = foot.height + layout.height + head
    figure = Figure(figsize=(width, height), dpi=DOTS_PER_INCH, facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(-MARGIN_LEFT, layout.width + MARGIN_RIGHT), ylim=(-foot.height, layout.height + head))
    axes.axis("off")
    _draw_rows(axes, drawing, layout)
    _draw_columns(axes, drawing, layout)
    radii = node_radii(drawing.units)
    _draw_edges(axes, drawing.edges, layout, radii)
    for unit in drawing.units:
        _draw_unit(axes, unit, layout.places[unit.id], radii[unit.id])
    _draw_head(axes, drawing, layout, top=layout.height + head)
    draw_foot(axes, foot, left=-MARGIN_LEFT + 0.1)
    return figure


def _draw_rows(axes: Axes, drawing: CircuitDrawing, layout: Layout) -> None:
    across = layout.width + MARGIN_LEFT + MARGIN_RIGHT
    for number, (name, (bottom, top)) in enumerate(zip(drawing.row_names, layout.bands, strict=True)):
        shade = "#f4f5f7" if number % 2 == 0 else "white"
        axes.add_patch(
            Rectangle((-MARGIN_LEFT, bottom), across, top - bottom, facecolor=shade, edgecolor="none", zorder=0)
        )
        write_line(axes, -MARGIN_LEFT + 0.1, (bottom + top) / 2, name, size=LABEL_SIZE, color="#555555", gid="row")


def _draw_columns(axes: Axes, drawing: CircuitDrawing, layout: Layout) -> None:
    for name, (left, right) in zip(drawing.column_names, layout.columns, strict=True):
        if left > 0:
            axes.plot((left, left), (0, layout.height), color="#c9ccd1", linewidth=0.8, linestyle=":", zorder=0.5)
        room = right - left - 0.2
        [shown] = fitted_lines(name, width=room, font_size=LABEL_SIZE, max_lines=1, bold=True)
        y = layout.height + COLUMN_HEAD / 2
        write_line(axes, left + 0.1, y, shown, size=LABEL_SIZE, color="#555555", weight="bold", gid="column")


def _draw_edges(axes: Axes, edges: Sequence[DrawnEdge], layout: Layout, radii: dict[str, float]) -> None:
    largest = max((edge.influence for edge in edges), default=0.0)
    crowded = is_crowded(edges)
    for edge in sorted(edges, key=lambda edge: edge.influence):
        axes.add_patch(
            PathPatch(
                CurvePath(
                    edge_curve(
                        layout.places[edge.source],
                        layout.places[edge.target],
                        above=radii[edge.source],
                        below=radii[edge.target],
                    ),
                    [CurvePath.MOVETO, CurvePath.CURVE4, CurvePath.CURVE4, CurvePath.CURVE4],
                ),
                facecolor="none",
                edgecolor=POSITIVE if edge.weight >= 0 else NEGATIVE,
                linestyle="solid" if edge.weight >= 0 else DASHES,
                linewidth=line_width(edge.influence, largest),
                alpha=opacity(edge.presence) * (faintness(edge.influence, largest) if crowded else 1.0),
                capstyle="butt",
                zorder=1,
            )
        )


def edge_curve(start: Place, end: Place, *, above: float, below: float) -> list[tuple[float, float]]:
    """Returns the four points of a cubic curve from the top of one node to the bottom of another.

    One that would run straight up past other lines of nodes bends to the left: labels stand to the right.
    """
    first, last = (start.x, start.y + above), (end.x, end.y - below)
    rise = abs(last[1] - first[1])
    lift = max(0.25, 0.45 * rise)
    bow = BOW if abs(last[0] - first[0]) < BOW and rise > 1.2 * LINE_HEIGHT else 0.0
    return [first, (first[0] - 1.4 * bow, first[1] + lift), (last[0] - 1.4 * bow, last[1] - lift), last]


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
        write_line(axes, left, y, line, size=LABEL_SIZE, weight="bold", gid="label")
    write_line(axes, left, top - label_height - NAME_LINE / 2, name, size=NAME_SIZE, color="#555555", gid="label")


def _draw_head(axes: Axes, drawing: CircuitDrawing, layout: Layout, *, top: float) -> None:
    left = -MARGIN_LEFT + 0.1
    width = MARGIN_LEFT + layout.width
    [title] = fitted_lines(drawing.title, width=width, font_size=TITLE_SIZE, max_lines=1, bold=True)
    write_line(axes, left, top - 0.26, title, size=TITLE_SIZE, weight="bold", gid="head")
    for number, line in enumerate(fitted_lines(drawing.subtitle, width=width, font_size=SUBTITLE_SIZE, max_lines=2)):
        write_line(axes, left, top - 0.54 - 0.17 * number, line, size=SUBTITLE_SIZE, color="#444444", gid="head")


def node_radii(units: Sequence[DrawnUnit]) -> dict[str, float]:
    """Returns node radii in inches; area grows with influence. Outputs, which have none, are largest."""
    largest = max((unit.influence for unit in units if unit.role != "output"), default=0.0)
    return {
        unit.id: LARGEST
        if unit.role == "output" or largest == 0
        else max(SMALLEST, LARGEST * (unit.influence / largest) ** 0.5)
        for unit in units
    }
