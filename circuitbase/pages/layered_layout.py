"""Places for units in rows, bottom up, so that edges between rows cross little and labels have room."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from circuitbase.pages.circuit_drawing import DrawnEdge, DrawnUnit

MAX_PER_LINE = 7
SLOT_WIDTH = 1.9  # inches: a node, its label to the right, and a gap
LINE_HEIGHT = 0.86
SWEEPS = 12


@dataclass(frozen=True)
class Place:
    """Where a unit's node stands, in inches from the lower left corner of the rows."""

    x: float
    y: float


@dataclass(frozen=True)
class Layout:
    """Places by unit id; `bands` holds (bottom, top) of each row; all in inches."""

    places: Mapping[str, Place]
    bands: tuple[tuple[float, float], ...]
    width: float
    height: float


def layered(units: Sequence[DrawnUnit], edges: Sequence[DrawnEdge], *, n_rows: int) -> Layout:
    """Returns a layout with `n_rows` rows; a row of more than seven units gets several staggered lines."""
    rows = ordered_rows(units, edges, n_rows=n_rows)
    per_line = max((min(len(row), MAX_PER_LINE) for row in rows), default=1)
    width = max(per_line, 3) * SLOT_WIDTH
    places: dict[str, Place] = {}
    bands = []
    bottom = 0.0
    for row in rows:
        lines = max(1, -(-len(row) // MAX_PER_LINE))
        for index, unit in enumerate(row):
            # neighbours in the order go to different lines, so that the order from left to right holds
            x = width * (index + 0.5) / len(row) if lines > 1 else _spread(index, len(row), width)
            places[unit] = Place(x=x - 0.36 * SLOT_WIDTH, y=bottom + LINE_HEIGHT * (index % lines + 0.5))
        top = bottom + lines * LINE_HEIGHT
        bands.append((bottom, top))
        bottom = top
    return Layout(places=places, bands=tuple(bands), width=width, height=bottom)


def ordered_rows(units: Sequence[DrawnUnit], edges: Sequence[DrawnEdge], *, n_rows: int) -> list[list[str]]:
    """Returns unit ids by row, in an order that keeps neighbours near (barycentres, swept up and down)."""
    rows = [sorted(unit.id for unit in units if unit.row == row) for row in range(n_rows)]
    row_of = {unit.id: unit.row for unit in units}
    neighbours: dict[str, list[tuple[str, float]]] = {unit.id: [] for unit in units}
    for edge in edges:
        neighbours[edge.source].append((edge.target, edge.influence))
        neighbours[edge.target].append((edge.source, edge.influence))
    at = {unit: (index + 0.5) / len(row) for row in rows for index, unit in enumerate(row)}
    for sweep in range(SWEEPS):
        upwards = sweep % 2 == 0
        for number in range(n_rows) if upwards else reversed(range(n_rows)):
            row = rows[number]
            centre = {
                unit: _barycentre(
                    [(at[other], pull) for other, pull in neighbours[unit] if (row_of[other] < number) == upwards],
                    otherwise=at[unit],
                )
                for unit in row
            }
            row.sort(key=lambda unit: (centre[unit], unit))
            at.update({unit: (index + 0.5) / len(row) for index, unit in enumerate(row)})
    return rows


def _barycentre(pulls: Sequence[tuple[float, float]], *, otherwise: float) -> float:
    total = sum(pull for _, pull in pulls)
    return sum(place * pull for place, pull in pulls) / total if total > 0 else otherwise


def _spread(index: int, count: int, width: float) -> float:
    """Returns the x of one of `count` evenly spread slots, at most two slots' width apart."""
    step = min(width / count, 2 * SLOT_WIDTH)
    return width / 2 + (index - (count - 1) / 2) * step
