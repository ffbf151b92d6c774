"""What colours, widths and opacities mean in a picture of a circuit."""

from collections.abc import Sequence

from matplotlib.lines import Line2D

from circuitbase.pages.circuit_drawing import CircuitDrawing, DrawnEdge, Role

POSITIVE, NEGATIVE = "#2166ac", "#c2410c"  # apart also for colour-blind readers
OUTLINE, NEUTRAL = "#333333", "#555555"
FILL: dict[Role, str] = {
    "token": "#f2c14e",
    "feature": "#7fb7be",
    "supernode": "#3f8f99",
    "head": "#9db2f0",
    "mlp": "#c9a3d4",
    "error": "#b8b8b8",
    "output": "#8fbc6b",
}
ROLE_NAMES: dict[Role, str] = {
    "token": "input token",
    "feature": "feature",
    "supernode": "supernode",
    "head": "attention head",
    "mlp": "MLP or neuron",
    "error": "reconstruction error",
    "output": "output",
}
THINNEST, THICKEST = 0.7, 6.0  # points
MANY_EDGES = 100


DASHES = (0.0, (3.2, 1.1))  # of edges that lower their target, in widths of the line


def line_width(influence: float, largest: float) -> float:
    """Returns the width of an edge in points."""
    return THINNEST + (THICKEST - THINNEST) * (influence / largest if largest > 0 else 0.0)


def opacity(presence: float) -> float:
    """Returns the opacity of an edge that stands in this share of the traces."""
    return 0.2 + 0.7 * presence


def is_crowded(edges: Sequence[DrawnEdge]) -> bool:
    """Returns whether there are so many edges that weak ones must step back."""
    return len(edges) > MANY_EDGES


def faintness(influence: float, largest: float) -> float:
    """Returns the factor of an edge's opacity in a crowded picture."""
    return 0.3 + 0.7 * (influence / largest if largest > 0 else 1.0) ** 0.5


def legend_entries(drawing: CircuitDrawing) -> list[Line2D]:
    """Returns one entry for each role that is drawn, each sign, two widths and one opacity."""
    drawn = {unit.role for unit in drawing.units}
    signs = [sign for sign in (True, False) if any((edge.weight >= 0) == sign for edge in drawing.edges)]
    largest = max((edge.influence for edge in drawing.edges), default=0.0)
    widths = [largest, largest / 4] if largest > 0 else []
    return [
        *(_node(ROLE_NAMES[role], FILL[role], "D" if role == "error" else "o") for role in FILL if role in drawn),
        *(
            _line("raises its target", POSITIVE, 3.0)
            if positive
            else _line("lowers its target", NEGATIVE, 3.0, dashed=True)
            for positive in signs
        ),
        *(_line(f"influence {width:.2g}", NEUTRAL, line_width(width, largest)) for width in widths),
        *([_line("in 25 % of traces", NEUTRAL, 3.0, alpha=opacity(0.25))] if drawing.edges else []),
    ]


def _node(label: str, fill: str, marker: str) -> Line2D:
    return Line2D(
        [],
        [],
        linestyle="none",
        marker=marker,
        markersize=7,
        markerfacecolor=fill,
        markeredgecolor=OUTLINE,
        markeredgewidth=0.8,
        label=label,
    )


def _line(label: str, color: str, width: float, *, alpha: float = 1.0, dashed: bool = False) -> Line2D:
    line = Line2D([], [], color=color, linewidth=width, alpha=alpha, label=label)
    if dashed:
        line.set_linestyle(DASHES)
    return line
