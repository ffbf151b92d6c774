"""Sums over traces with units taken together in groups, as if each group were one unit.

Presence is the union over members, so it cannot be added up from the members' sums: each trace's nodes are given
their group's id first, and then summed as units are. Edges within a group are dropped, and their sums kept apart.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from itertools import islice

import numpy as np
from jaxtyping import Float64

from circuitbase.queries.rollup_sums import ActiveFeatures, EdgeSums, RollupSums, UnitSums, rollup_sums
from circuitbase.queries.trace_columns import TraceColumns

Traces = Iterable[tuple[TraceColumns, ActiveFeatures]]
_TOGETHER = 50
_EDGE_KEY, _UNIT_KEY = ("source", "target", "port"), ("unit",)


@dataclass(frozen=True)
class InnerSums:
    """The edges between members of one group: sum of their weights and of |weight|, over members and traces."""

    weight_sum: float
    absolute_sum: float


@dataclass(frozen=True)
class GroupedSums:
    """Sums between groups, and of the edges within each. `absolute_sum` of an edge is over its members' edges too."""

    sums: RollupSums
    inner: Mapping[str, InnerSums]


def grouped_sums(traces: Traces, group_of: Mapping[str, str]) -> GroupedSums:
    """Returns the sums over traces with `group_of[unit]` in the place of a unit; others stay as they are.

    Traces are read once, some at a time. With no groups these are the sums of the rollup.
    """
    total: RollupSums | None = None
    inner: dict[str, InnerSums] = {}
    left = iter(traces)
    while batch := list(islice(left, _TOGETHER)):
        apart = rollup_sums(batch)
        together = rollup_sums([(grouped(columns, group_of), _active(found, group_of)) for columns, found in batch])
        more = _with_member_sums(together, apart, group_of)
        total = more if total is None else _added(total, more)
        for group, sums in _inner(apart, group_of).items():
            before = inner.get(group, InnerSums(0.0, 0.0))
            inner[group] = InnerSums(before.weight_sum + sums.weight_sum, before.absolute_sum + sums.absolute_sum)
    if total is None:
        raise ValueError("sums need one trace or more, got none")
    return GroupedSums(total, inner)


def grouped(columns: TraceColumns, group_of: Mapping[str, str]) -> TraceColumns:
    """Returns a trace whose nodes are those of groups, without the edges within a group."""
    unit = tuple(group_of.get(unit, unit) for unit in columns.unit)
    ends = zip(columns.edge_source.tolist(), columns.edge_target.tolist(), strict=True)
    within = np.array([unit[s] == unit[t] and columns.unit[s] != columns.unit[t] for s, t in ends], dtype=bool)
    edges = {
        field.name: getattr(columns, field.name)[~within] for field in fields(columns) if field.name.startswith("edge_")
    }
    return replace(columns, unit=unit, **edges)


def _active(active: ActiveFeatures, group_of: Mapping[str, str]) -> ActiveFeatures:
    units = [group_of.get(unit, unit) for unit in active.unit]
    found = {unit: place for place, unit in enumerate(dict.fromkeys(units))}
    row = np.array([found[unit] for unit in units], dtype=np.int64)
    return ActiveFeatures(tuple(found), np.bincount(row, weights=active.activation, minlength=len(found)).astype(float))


def _with_member_sums(together: RollupSums, apart: RollupSums, group_of: Mapping[str, str]) -> RollupSums:
    """Returns the sums between groups with Σ|w| taken over the edges of members."""
    place = {unit: number for number, unit in enumerate(together.units)}
    group = np.array([place[group_of.get(unit, unit)] for unit in apart.units], dtype=np.int64)
    edges, members, n = together.edge_sums, apart.edge_sums, len(together.units)
    key = (edges.source * n + edges.target) * 4 + edges.port
    of_member = (group[members.source] * n + group[members.target]) * 4 + members.port
    row = np.searchsorted(key, of_member)
    crossing = np.flatnonzero(np.append(key, -1)[row] == of_member)
    absolute: Float64[np.ndarray, " pair"] = np.bincount(
        row[crossing], weights=members.absolute_sum[crossing], minlength=len(key)
    ).astype(np.float64)
    return replace(together, edge_sums=replace(edges, absolute_sum=absolute))


def _inner(apart: RollupSums, group_of: Mapping[str, str]) -> dict[str, InnerSums]:
    found: dict[str, InnerSums] = {}
    edges = apart.edge_sums
    group = [group_of.get(unit) for unit in apart.units]
    for row, (source, target) in enumerate(zip(edges.source.tolist(), edges.target.tolist(), strict=True)):
        home = group[source]
        if home is not None and home == group[target] and source != target:
            before = found.get(home, InnerSums(0.0, 0.0))
            found[home] = InnerSums(
                before.weight_sum + float(edges.weight_sum[row]), before.absolute_sum + float(edges.absolute_sum[row])
            )
    return found


def _added(first: RollupSums, second: RollupSums) -> RollupSums:
    """Returns the sums over the traces of both."""
    units = tuple(sorted({*first.units, *second.units}))
    place = {unit: number for number, unit in enumerate(units)}
    moved = [np.array([place[unit] for unit in sums.units], dtype=np.int64) for sums in (first, second)]
    edges = [
        {**_columns(sums.edge_sums), "source": to[sums.edge_sums.source], "target": to[sums.edge_sums.target]}
        for sums, to in zip((first, second), moved, strict=True)
    ]
    seen = [
        {**_columns(sums.unit_sums), "unit": to[sums.unit_sums.unit]}
        for sums, to in zip((first, second), moved, strict=True)
    ]
    return RollupSums(units, EdgeSums(**_summed(edges, key=_EDGE_KEY)), UnitSums(**_summed(seen, key=_UNIT_KEY)))


def _columns(sums: EdgeSums | UnitSums) -> dict[str, np.ndarray]:
    return {field.name: getattr(sums, field.name) for field in fields(sums)}


def _summed(parts: list[dict[str, np.ndarray]], *, key: tuple[str, ...]) -> dict[str, np.ndarray]:
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    found, row = np.unique(np.stack([joined[name] for name in key]), axis=1, return_inverse=True)
    sums = {
        name: np.bincount(row.ravel(), weights=column, minlength=found.shape[1]).astype(column.dtype)
        for name, column in joined.items()
    }
    return {**sums, **dict(zip(key, found, strict=True))}
