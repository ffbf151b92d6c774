"""Places for units in rows and columns, rows bottom up, so that edges cross little and labels have room."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from circuitbase.pages.circuit_drawing import DrawnEdge, DrawnUnit

MAX_PER_LINE = 7  # of small pictures; large ones are wider, so that they stay about as wide as high
SLOT_WIDTH = 1.9  # inches: a node, its label to the right, and a gap
LINE_HEIGHT = 0.86
LEAST_SLOTS = 3
SWEEPS = 12


@dataclass(frozen=True)
class Place:
    """Where a unit's node stands, in inches from the lower left corner of the rows."""

    x: float
    y: float


@dataclass(frozen=True)
class Layout:
    """Places by unit id; `bands` holds (bottom, top) of each row, `columns` (left, right) of each column; in inches."""

    places: Mapping[str, Place]
    bands: tuple[tuple[float, float], ...]
    columns: tuple[tuple[float, float], ...]
    width: float
    height: float


def layered(
    units: Sequence[DrawnUnit], edges: Sequence[DrawnEdge], *, n_rows: int, columns: Sequence[str] = ()
) -> Layout:
    """Returns a layout with `n_rows` rows; a row that is too full for one line gets several staggered ones.

    A unit stands in its column of `columns`, one that has none anywhere across.
    """
    rows = ordered_rows(units, edges, n_rows=n_rows, columns=columns)
    column_of = {unit.id: unit.column for unit in units}
    cells = [{name: [id for id in row if column_of[id] == name] for name in (None, *columns)} for row in rows]
    limit = max(MAX_PER_LINE, math.ceil(0.85 * math.sqrt(len(units))))
    per_line = _per_line([{name: len(ids) for name, ids in cell.items()} for cell in cells], columns, limit=limit)
    lines = [{name: -(-len(ids) // (per_line.get(name or "", limit))) for name, ids in cell.items()} for cell in cells]
    # units of neighbouring lines stand half a slot apart, for which a column needs one slot more
    wide = {name: slots + any(each[name] > 1 for each in lines) for name, slots in per_line.items()}
    loose = max((len(cell[None]) for cell in cells), default=0)
    needed = 0 if not loose else min(loose, limit) + any(each[None] > 1 for each in lines)
    width = max(sum(wide.values()), needed, LEAST_SLOTS) * SLOT_WIDTH
    spans = _spans(columns, wide, width=width)
    places: dict[str, Place] = {}
    bands: list[tuple[float, float]] = []
    bottom = 0.0
    for cell, cell_lines in zip(cells, lines, strict=True):
        row_lines = max(1, max(cell_lines.values(), default=1))
        for name, ids in cell.items():
            left, right = spans[name] if name is not None else (0.0, width)
            for index, id in enumerate(ids):
                # neighbours in the order go to different lines, so that the order from left to right holds
                x = _across(index, len(ids), left=left, right=right, staggered=cell_lines[name] > 1)
                line = index % cell_lines[name] + (row_lines - cell_lines[name]) / 2
                places[id] = Place(x=x - 0.36 * SLOT_WIDTH, y=bottom + LINE_HEIGHT * (line + 0.5))
        bands.append((bottom, bottom + row_lines * LINE_HEIGHT))
        bottom += row_lines * LINE_HEIGHT
    return Layout(
        places=places, bands=tuple(bands), columns=tuple(spans[name] for name in columns), width=width, height=bottom
    )


def ordered_rows(
    units: Sequence[DrawnUnit], edges: Sequence[DrawnEdge], *, n_rows: int, columns: Sequence[str] = ()
) -> list[list[str]]:
    """Returns unit ids by row, in an order that keeps neighbours near (barycentres, swept up and down).

    Columns keep their order; within them units move.
    """
    number_of = {name: number for number, name in enumerate(columns)}
    column = {unit.id: number_of.get(unit.column or "", -1) for unit in units}
    rows = [
        sorted((unit.id for unit in units if unit.row == row), key=lambda id: (column[id], id)) for row in range(n_rows)
    ]
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
            row.sort(key=lambda unit: (column[unit], centre[unit], unit))
            at.update({unit: (index + 0.5) / len(row) for index, unit in enumerate(row)})
    return rows


def _per_line(counts: Sequence[Mapping[str | None, int]], columns: Sequence[str], *, limit: int) -> dict[str, int]:
    """Returns how many units of each column stand in one line: `limit` shared out by the columns' fullest cells."""
    fullest = {name: max((cell[name] for cell in counts), default=0) for name in columns}
    total = sum(fullest.values())
    return {name: max(1, min(most, round(limit * most / max(1, total)))) for name, most in fullest.items()}


def _spans(columns: Sequence[str], slots: Mapping[str, int], *, width: float) -> dict[str, tuple[float, float]]:
    """Returns (left, right) of each column; what the columns do not need is shared out between them."""
    scale = width / max(1, sum(slots[name] for name in columns))
    spans = {}
    left = 0.0
    for name in columns:
        spans[name] = (left, left + slots[name] * scale)
        left = spans[name][1]
    return spans


def _barycentre(pulls: Sequence[tuple[float, float]], *, otherwise: float) -> float:
    total = sum(pull for _, pull in pulls)
    return sum(place * pull for place, pull in pulls) / total if total > 0 else otherwise


def _across(index: int, count: int, *, left: float, right: float, staggered: bool) -> float:
    """Returns the x of one of `count` evenly spread slots between two sides, at most two slots' width apart."""
    step = (right - left - SLOT_WIDTH) / max(1, count - 1)
    if not staggered:
        step = min(step, 2 * SLOT_WIDTH)
    return (left + right) / 2 + (index - (count - 1) / 2) * step
