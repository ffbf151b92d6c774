"""The sums of a rollup over some traces, in numpy.

The observation is the trace: a trace's edges between the same two units are added up first, and
only that sum is squared or given a sign. An edge counts once per trace, however many positions it
joins; so does a unit.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from circuitbase.queries.trace_columns import TraceColumns

_PORTS = 4


@dataclass(frozen=True)
class ActiveFeatures:
    """The features that fired in one trace, traced or not: each unit id once, activations summed."""

    unit: tuple[str, ...]
    activation: Float64[np.ndarray, " feature"]


@dataclass(frozen=True)
class EdgeSums:
    """Sums per (source unit, target unit, port); units are places in `RollupSums.units`.

    The names are those of the properties of DRIVES.
    """

    source: Int64[np.ndarray, " pair"]
    target: Int64[np.ndarray, " pair"]
    port: Int64[np.ndarray, " pair"]
    traces: Int64[np.ndarray, " pair"]
    weight_sum: Float64[np.ndarray, " pair"]
    weight_square_sum: Float64[np.ndarray, " pair"]
    absolute_sum: Float64[np.ndarray, " pair"]
    share_sum: Float64[np.ndarray, " pair"]
    share_square_sum: Float64[np.ndarray, " pair"]
    influence_sum: Float64[np.ndarray, " pair"]
    influence_square_sum: Float64[np.ndarray, " pair"]
    positive: Int64[np.ndarray, " pair"]
    target_weighted_sum: Float64[np.ndarray, " pair"]
    same_position: Int64[np.ndarray, " pair"]


@dataclass(frozen=True)
class UnitSums:
    """Sums per unit, a place in `RollupSums.units`; the names are those of the properties of SEEN_IN."""

    unit: Int64[np.ndarray, " unit"]
    active_traces: Int64[np.ndarray, " unit"]
    traced: Int64[np.ndarray, " unit"]
    activation_sum: Float64[np.ndarray, " unit"]
    influence_sum: Float64[np.ndarray, " unit"]
    influence_square_sum: Float64[np.ndarray, " unit"]


@dataclass(frozen=True)
class RollupSums:
    """What some traces add to a rollup; `units` are sorted unit ids."""

    units: tuple[str, ...]
    edge_sums: EdgeSums
    unit_sums: UnitSums


def rollup_sums(traces: Sequence[tuple[TraceColumns, ActiveFeatures]]) -> RollupSums:
    """Returns the sums over traces, each given by its stored columns and its file's active features."""
    units = tuple(sorted({unit for columns, active in traces for unit in (*columns.unit, *active.unit)}))
    place = {unit: number for number, unit in enumerate(units)}
    placed = [(np.array([place[unit] for unit in columns.unit], dtype=np.int64), columns) for columns, _ in traces]
    active = [(np.array([place[unit] for unit in found.unit], dtype=np.int64), found) for _, found in traces]
    return RollupSums(
        units=units,
        edge_sums=_edge_sums(placed, n_units=len(units)),
        unit_sums=_unit_sums(placed, active, n_units=len(units)),
    )


def _edge_sums(placed: Sequence[tuple[np.ndarray, TraceColumns]], *, n_units: int) -> EdgeSums:
    observed = [_observed_pairs(unit, columns, n_units=n_units) for unit, columns in placed]
    pair, weight, share, influence, weighted, same = (_joined(column) for column in zip(*observed, strict=True))
    found, row = np.unique(pair, return_inverse=True)

    def summed(column: np.ndarray) -> np.ndarray:
        # of nothing, bincount makes integers
        return np.bincount(row, weights=column, minlength=len(found)).astype(np.float64, copy=False)

    def counted(chosen: np.ndarray) -> np.ndarray:
        return np.bincount(row[chosen], minlength=len(found))

    ends, port = np.divmod(found, _PORTS)
    source, target = np.divmod(ends, max(n_units, 1))
    return EdgeSums(
        source=source,
        target=target,
        port=port,
        traces=np.bincount(row, minlength=len(found)),
        weight_sum=summed(weight),
        weight_square_sum=summed(weight**2),
        absolute_sum=summed(np.abs(weight)),
        share_sum=summed(share),
        share_square_sum=summed(share**2),
        influence_sum=summed(influence),
        influence_square_sum=summed(influence**2),
        positive=counted(weight > 0),
        target_weighted_sum=summed(weighted),
        same_position=counted(same > 0),
    )


def _observed_pairs(unit: np.ndarray, columns: TraceColumns, *, n_units: int) -> tuple[np.ndarray, ...]:
    """Returns one trace's unit pairs, sums over its edges between them, and how many keep the position."""
    ends = unit[columns.edge_source] * n_units + unit[columns.edge_target]
    pair, row = np.unique(ends * _PORTS + columns.edge_port, return_inverse=True)
    position = columns.position[columns.edge_source]
    same = (position == columns.position[columns.edge_target]) & (position >= 0)
    weighted = columns.edge_weight * columns.activation[columns.edge_target]
    return pair, *(
        np.bincount(row, weights=column, minlength=len(pair))
        for column in (columns.edge_weight, columns.edge_share, columns.edge_influence, weighted, same)
    )


def _unit_sums(
    placed: Sequence[tuple[np.ndarray, TraceColumns]],
    active: Sequence[tuple[np.ndarray, ActiveFeatures]],
    *,
    n_units: int,
) -> UnitSums:
    active_traces, traced = np.zeros(n_units, dtype=np.int64), np.zeros(n_units, dtype=np.int64)
    activation, influence, influence_square = (np.zeros(n_units) for _ in range(3))
    for (unit, columns), (feature, fired) in zip(placed, active, strict=True):
        by_node = columns.is_active & ~columns.is_feature
        active_traces[np.unique(unit[by_node])] += 1
        active_traces[feature] += 1
        activation += np.bincount(unit[by_node], weights=columns.activation[by_node], minlength=n_units)
        activation[feature] += fired.activation
        here = np.bincount(unit, weights=columns.influence, minlength=n_units)
        traced[np.unique(unit)] += 1
        influence += here
        influence_square += here**2
    return UnitSums(
        unit=np.arange(n_units),
        active_traces=active_traces,
        traced=traced,
        activation_sum=activation,
        influence_sum=influence,
        influence_square_sum=influence_square,
    )


def _joined(columns: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate(columns)
