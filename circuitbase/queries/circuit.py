"""The global circuit of a prompt set: the units and edges that recur over its traces.

Read from a rollup's sums, so the cost does not grow with the number of prompts. The observation is
the trace (methods.md section 3): an edge's weight in a trace is summed over position pairs first.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from neo4j import Session

from circuitbase.errors import InputError
from circuitbase.queries.intervals import Interval, wilson
from circuitbase.queries.rollup_choice import ChosenRollup
from circuitbase.queries.rollup_sums import RollupSums
from circuitbase.queries.sum_rows import edge_rows, unit_rows

Rank = Literal["influence", "share"]
MIN_PRESENCE = 0.3  # of about 100 prompts, one published rule (2607.14791)

_UNITS = """
MATCH (unit:Unit)-[seen:SEEN_IN]->(:Rollup {id: $rollup})
WHERE seen.rollup = $rollup AND seen.traced >= $least
RETURN unit.id AS id, unit.name AS name, unit.kind AS kind, unit.layer AS layer, unit.token AS token,
       seen.traced AS traced, seen.active_traces AS active_traces, seen.activation_sum AS activation_sum,
       seen.influence_sum AS influence_sum, seen.influence_square_sum AS influence_square_sum
ORDER BY influence_sum DESC, id
LIMIT $limit
"""
# The sums of one edge, with what of its target they are compared to.
_EDGES = """
MATCH (source:Unit)-[sums:DRIVES]->(target:Unit)
WHERE sums.rollup = $rollup AND sums.traces >= $least
WITH source, sums, target,
     CASE $by WHEN 'share' THEN sums.share_sum / sums.traces ELSE sums.influence_sum END AS rank
ORDER BY rank DESC, sums.key
LIMIT $limit
MATCH (target)-[seen:SEEN_IN {rollup: $rollup}]->(:Rollup {id: $rollup})
RETURN source.id AS source, source.name AS source_name, target.id AS target, target.name AS target_name,
       properties(sums) AS sums, seen.traced AS target_traced, seen.activation_sum AS target_activation_sum
ORDER BY rank DESC, sums.key
"""

_COUNT_UNITS = """
MATCH (:Unit)-[seen:SEEN_IN]->(:Rollup {id: $rollup})
WHERE seen.rollup = $rollup AND seen.traced >= $least
RETURN count(*) AS found
"""
_COUNT_EDGES = """
MATCH (:Unit)-[sums:DRIVES]->(:Unit) WHERE sums.rollup = $rollup AND sums.traces >= $least
RETURN count(*) AS found
"""


@dataclass(frozen=True)
class CircuitUnit:
    """A unit's part in a global circuit; means are over all traces of the set unless said otherwise.

    `traced` counts traces in which it has a node after pruning, `active_traces` those in which it was
    active at all. `mean_activation` is per trace in which it was active, summed over positions.
    """

    id: str
    name: str
    kind: str
    layer: int | None
    token: str | None
    traced: int
    active_traces: int
    presence: Interval
    mean_influence: float
    influence_deviation: float
    mean_activation: float


@dataclass(frozen=True)
class CircuitEdge:
    """An edge's part in a global circuit.

    `presence` is over all traces, `conditional_presence` over those in which the target has a node.
    `mean_weight`, `weight_deviation` and `mean_share` are over the traces that have the edge,
    `mean_influence` over all. `sign_agreement` is max(n₊, n₋) / n with Wilson's interval, biased upwards
    for few traces. `same_position` is the share of its traces with such an edge at equal positions.
    `target_weighted_effect` is the empirical TWERA, Σ a_t·A / Σ a_t, attention included. Absent means
    inactive or pruned: these are traced edges, not completed ones.
    """

    source: str
    source_name: str
    target: str
    target_name: str
    port: int
    traces: int
    presence: Interval
    conditional_presence: Interval
    mean_weight: float
    weight_deviation: float
    mean_share: float
    mean_influence: float
    sign_agreement: Interval
    same_position: float
    target_weighted_effect: float | None


@dataclass(frozen=True)
class GlobalCircuit:
    """Units and edges of a rollup that are in at least `min_presence` of its traces, ranked by `by`.

    `n_units` and `n_edges` count all that reach the minimum; the tuples hold the first of them.
    """

    rollup: ChosenRollup
    min_presence: float
    by: Rank
    units: tuple[CircuitUnit, ...]
    edges: tuple[CircuitEdge, ...]
    n_units: int
    n_edges: int


def global_circuit(
    session: Session,
    rollup: ChosenRollup,
    *,
    min_presence: float = MIN_PRESENCE,
    by: Rank = "influence",
    max_units: int = 1000,
    max_edges: int = 5000,
) -> GlobalCircuit:
    """Returns the global circuit of a rollup; raises InputError for a presence outside [0, 1]."""
    least = least_traces(rollup.traces, min_presence=min_presence)
    units = [
        _unit(row, traces=rollup.traces)
        for row in session.run(_UNITS, rollup=rollup.id, least=least, limit=max_units).data()
    ]
    edges = [
        _edge(row, traces=rollup.traces)
        for row in session.run(_EDGES, rollup=rollup.id, least=least, by=by, limit=max_edges).data()
    ]
    return GlobalCircuit(
        rollup=rollup,
        min_presence=min_presence,
        by=by,
        units=tuple(units),
        edges=tuple(edges),
        n_units=_count(session, _COUNT_UNITS, rollup=rollup.id, least=least),
        n_edges=_count(session, _COUNT_EDGES, rollup=rollup.id, least=least),
    )


def circuit_of_sums(
    session: Session,
    sums: RollupSums,
    chosen: ChosenRollup,
    *,
    min_presence: float = MIN_PRESENCE,
    by: Rank = "influence",
    max_units: int = 1000,
    max_edges: int = 5000,
) -> GlobalCircuit:
    """Returns the same of sums that are not in the database; `chosen` says what they are of."""
    least = least_traces(chosen.traces, min_presence=min_presence)
    units = unit_rows(session, sums, least=least)
    edges = [_edge({**row, "sums": row}, traces=chosen.traces) for row in edge_rows(session, sums, least=least)]
    edges.sort(
        key=lambda edge: (-(edge.mean_share if by == "share" else edge.mean_influence), edge.source, edge.target)
    )
    return GlobalCircuit(
        rollup=chosen,
        min_presence=min_presence,
        by=by,
        units=tuple(_unit(row, traces=chosen.traces) for row in units[:max_units]),
        edges=tuple(edges[:max_edges]),
        n_units=len(units),
        n_edges=len(edges),
    )


def least_traces(traces: int, *, min_presence: float) -> int:
    """Returns the smallest number of traces that is at least a fraction of all, and at least 1."""
    if not 0 <= min_presence <= 1:
        raise InputError(f"the minimum presence must be a fraction from 0 to 1, got {min_presence:g}")
    return max(1, math.ceil(min_presence * traces - 1e-9))


def deviation(total: float, square_total: float, count: int) -> float:
    """Returns the standard deviation (n in the denominator) from sums, clamped at 0 against rounding."""
    return math.sqrt(max(0.0, square_total / count - (total / count) ** 2))


def _unit(row: Mapping[str, Any], *, traces: int) -> CircuitUnit:
    return CircuitUnit(
        id=row["id"],
        name=row["name"],
        kind=row["kind"],
        layer=row["layer"],
        token=row["token"],
        traced=row["traced"],
        active_traces=row["active_traces"],
        presence=wilson(row["traced"], traces),
        mean_influence=row["influence_sum"] / traces,
        influence_deviation=deviation(row["influence_sum"], row["influence_square_sum"], traces),
        mean_activation=row["activation_sum"] / max(1, row["active_traces"]),
    )


def _edge(row: Mapping[str, Any], *, traces: int) -> CircuitEdge:
    sums, count = row["sums"], row["sums"]["traces"]
    # Weights of 0 do not occur, so what is not positive is negative.
    agreeing = max(sums["positive"], count - sums["positive"])
    activation = row["target_activation_sum"]
    return CircuitEdge(
        source=row["source"],
        source_name=row["source_name"],
        target=row["target"],
        target_name=row["target_name"],
        port=sums["port"],
        traces=count,
        presence=wilson(count, traces),
        conditional_presence=wilson(count, max(count, row["target_traced"])),
        mean_weight=sums["weight_sum"] / count,
        weight_deviation=deviation(sums["weight_sum"], sums["weight_square_sum"], count),
        mean_share=sums["share_sum"] / count,
        mean_influence=sums["influence_sum"] / traces,
        sign_agreement=wilson(agreeing, count),
        same_position=sums["same_position"] / count,
        target_weighted_effect=sums["target_weighted_sum"] / activation if activation else None,
    )


def _count(session: Session, text: str, *, rollup: str, least: int) -> int:
    return int(session.run(text, rollup=rollup, least=least).single(strict=True)["found"])
