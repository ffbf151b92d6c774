"""Columns for units that were told apart by the role of their position, in the order in which influence flows.

Between two positions only attention carries anything, and it carries it to later ones, so a role that gives to other
roles more than it takes from them stands further left.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from circuitbase.pages.circuit_drawing import DrawnEdge, DrawnUnit

NO_ROLE = "no position"


def role_columns(
    units: Sequence[DrawnUnit], edges: Sequence[DrawnEdge]
) -> tuple[tuple[DrawnUnit, ...], tuple[str, ...]]:
    """Returns the units in their columns and the columns' names from left to right, no names where no unit has a role.

    Outputs have no column: they stand above all. Ties are broken by name.
    """
    if all(unit.column is None for unit in units):
        return tuple(units), ()
    placed = tuple(
        replace(unit, column=NO_ROLE) if unit.column is None and unit.role != "output" else unit for unit in units
    )
    column_of = {unit.id: unit.column for unit in placed}
    given: dict[str, float] = defaultdict(float)
    taken: dict[str, float] = defaultdict(float)
    for edge in edges:
        source, target = column_of[edge.source], column_of[edge.target]
        if source is not None and target is not None and source != target:
            given[source] += edge.influence
            taken[target] += edge.influence
    names = {name for name in column_of.values() if name is not None}

    def rank(name: str) -> tuple[bool, float, str]:
        flow = given[name] + taken[name]
        return name == NO_ROLE, -(given[name] - taken[name]) / flow if flow > 0 else 0.0, name

    return placed, tuple(sorted(names, key=rank))
