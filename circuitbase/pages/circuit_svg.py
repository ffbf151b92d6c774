"""The drawing inside the HTML page: SVG whose colours a style sheet gives, with an element for each unit and edge."""

from collections.abc import Iterator
from html import escape

from circuitbase.pages.circuit_drawing import CircuitDrawing, DrawnUnit
from circuitbase.pages.circuit_plot import LABEL_SIZE, LABEL_WIDTH, NAME_SIZE, edge_curve, node_radii
from circuitbase.pages.label_text import POINTS_PER_INCH, fitted_lines
from circuitbase.pages.layered_layout import Layout, Place, layered
from circuitbase.pages.plot_legend import DASHES, faintness, is_crowded, line_width, opacity

PER_INCH = 100.0  # units of the SVG
LEFT, RIGHT, ABOVE, BELOW = 0.95, 0.25, 0.35, 0.1  # inches
LABEL_LINE, NAME_LINE = 0.145, 0.115


def circuit_svg(drawing: CircuitDrawing) -> str:
    """Returns an `svg` element; `u3` is the drawing's fourth unit, `e3` its fourth edge, `t3` where that is touched."""
    layout = layered(drawing.units, drawing.edges, n_rows=len(drawing.row_names), columns=drawing.column_names)
    width, height = (LEFT + layout.width + RIGHT) * PER_INCH, (ABOVE + layout.height + BELOW) * PER_INCH
    lines = [
        f'<svg id="drawing" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}" '
        f'role="group" aria-label="{escape(drawing.title)}">',
        *_bands(drawing, layout, width=width),
        *_edges(drawing, layout),
        *_nodes(drawing, layout),
        "</svg>",
    ]
    return "\n".join(lines)


def _bands(drawing: CircuitDrawing, layout: Layout, *, width: float) -> Iterator[str]:
    for number, (name, (bottom, top)) in enumerate(zip(drawing.row_names, layout.bands, strict=True)):
        _, y = _at(layout, 0.0, top)
        tall = (top - bottom) * PER_INCH
        parity = "odd" if number % 2 == 0 else "even"
        yield f'<rect class="band {parity}" x="0" y="{y:.1f}" width="{width:.1f}" height="{tall:.1f}"/>'
        yield f'<text class="row" x="10" y="{y + tall / 2 + 4:.1f}">{escape(name)}</text>'
    for name, (left, right) in zip(drawing.column_names, layout.columns, strict=True):
        x, y = _at(layout, left, layout.height)
        _, foot = _at(layout, left, 0.0)
        [shown] = fitted_lines(
            name, width=right - left - 0.2, font_size=LABEL_SIZE, max_lines=1, bold=True, any_font=True
        )
        if left > 0:
            yield f'<line class="divider" x1="{x:.1f}" x2="{x:.1f}" y1="{y:.1f}" y2="{foot:.1f}"/>'
        yield f'<text class="column" x="{x + 10:.1f}" y="{y - 12:.1f}">{escape(shown)}</text>'


def _edges(drawing: CircuitDrawing, layout: Layout) -> Iterator[str]:
    radii = node_radii(drawing.units)
    largest = max((edge.influence for edge in drawing.edges), default=0.0)
    crowded = is_crowded(drawing.edges)
    # the strongest lie on top
    for at, edge in sorted(enumerate(drawing.edges), key=lambda each: each[1].influence):
        points = edge_curve(
            layout.places[edge.source], layout.places[edge.target], above=radii[edge.source], below=radii[edge.target]
        )
        first, *rest = (" ".join(f"{part:.1f}" for part in _at(layout, *point)) for point in points)
        path = f"M{first} C{', '.join(rest)}"
        wide = line_width(edge.influence, largest) * PER_INCH / POINTS_PER_INCH
        seen = opacity(edge.presence) * (faintness(edge.influence, largest) if crowded else 1.0)
        sign = "raises" if edge.weight >= 0 else "lowers"
        dashes = (
            "" if edge.weight >= 0 else f' stroke-dasharray="{" ".join(f"{wide * part:.1f}" for part in DASHES[1])}"'
        )
        yield f'<path class="touch" id="t{at}" d="{path}"/>'
        yield (
            f'<path class="edge {sign}" id="e{at}" d="{path}" stroke-width="{wide:.1f}" style="opacity:{seen:.2f}"'
            f"{dashes}/>"
        )


def _nodes(drawing: CircuitDrawing, layout: Layout) -> Iterator[str]:
    radii = node_radii(drawing.units)
    # in the order in which the Tab key goes: bottom up, left to right
    order = sorted(
        range(len(drawing.units)),
        key=lambda at: (drawing.units[at].row, layout.places[drawing.units[at].id].x, drawing.units[at].id),
    )
    for at in order:
        unit = drawing.units[at]
        said = f"{unit.label}, {unit.name}, {drawing.row_names[unit.row]}, in {unit.presence:.0%} of traces"
        yield (
            f'<g class="node role-{unit.role}" id="u{at}" tabindex="0" role="button" aria-pressed="false" '
            f'aria-label="{escape(said)}">'
        )
        yield from _node(unit, layout, layout.places[unit.id], radii[unit.id])
        yield "</g>"


def _node(unit: DrawnUnit, layout: Layout, place: Place, radius: float) -> Iterator[str]:
    x, y = _at(layout, place.x, place.y)
    size = radius * PER_INCH
    if unit.role == "error":
        reach = 1.15 * size
        corners = f"{x:.1f},{y - reach:.1f} {x + reach:.1f},{y:.1f} {x:.1f},{y + reach:.1f} {x - reach:.1f},{y:.1f}"
        yield f'<polygon class="mark" points="{corners}"/>'
    else:
        yield f'<circle class="mark" cx="{x:.1f}" cy="{y:.1f}" r="{size:.1f}"/>'
    lines = fitted_lines(unit.label, width=LABEL_WIDTH, font_size=LABEL_SIZE, bold=True, max_lines=2, any_font=True)
    [name] = fitted_lines(
        f"{unit.name} · {unit.presence:.0%}", width=LABEL_WIDTH, font_size=NAME_SIZE, max_lines=1, any_font=True
    )
    left = x + size + 6
    top = y - (len(lines) * LABEL_LINE + NAME_LINE) / 2 * PER_INCH
    for number, line in enumerate(lines):
        base = top + (number * LABEL_LINE + 0.115) * PER_INCH
        yield f'<text class="label" x="{left:.1f}" y="{base:.1f}">{escape(line)}</text>'
    base = top + (len(lines) * LABEL_LINE + 0.09) * PER_INCH
    yield f'<text class="name" x="{left:.1f}" y="{base:.1f}">{escape(name)}</text>'


def _at(layout: Layout, x: float, y: float) -> tuple[float, float]:
    """Returns a place of the layout in the SVG, whose y runs down."""
    return (LEFT + x) * PER_INCH, (ABOVE + layout.height - y) * PER_INCH
