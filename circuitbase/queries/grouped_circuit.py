"""The global circuit over supernodes instead of features: the same rows, from grouped sums."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from neo4j import Session

from circuitbase.queries.active_features import active_features
from circuitbase.queries.circuit import (
    MIN_PRESENCE,
    CircuitEdge,
    GlobalCircuit,
    Rank,
    edge_of_sums,
    least_traces,
    unit_of_sums,
)
from circuitbase.queries.grouped_sums import GroupedSums, InnerSums, grouped_sums
from circuitbase.queries.rollup_choice import ChosenRollup
from circuitbase.queries.rollup_sums import ActiveFeatures, RollupSums
from circuitbase.queries.supernode_storing import StoredSupernode
from circuitbase.queries.trace_columns import TraceColumns
from circuitbase.queries.trace_stream import Progress, no_progress, stream_traces
from circuitbase.store.trace_store import TraceStore

KIND = "Supernode"

UNIT_FACTS = """
UNWIND $units AS id
MATCH (unit:Unit {id: id})
RETURN unit.id AS id, unit.name AS name, unit.kind AS kind, unit.layer AS layer, unit.token AS token
"""


@dataclass(frozen=True)
class GroupedCircuit:
    """A global circuit whose units are supernodes and what is in none, and the edges within each supernode.

    `absolute_sums` is Σ|weight| over the edges of members and all traces, by (source, target, port).
    """

    circuit: GlobalCircuit
    inner: Mapping[str, InnerSums]
    absolute_sums: Mapping[tuple[str, str, int], float]


def group_of(stored: Sequence[StoredSupernode]) -> dict[str, str]:
    """Returns unit id -> id of the supernode that holds it."""
    return {unit: each.id for each in stored for unit in each.members}


def sums_over_groups(
    session: Session,
    rollup: ChosenRollup,
    stored: Sequence[StoredSupernode],
    *,
    store: TraceStore,
    progress: Progress = no_progress,
) -> GroupedSums:
    """Returns a rollup's sums over supernodes; reads each of its traces, and its file for what was active."""

    def traces() -> Iterator[tuple[TraceColumns, ActiveFeatures]]:
        for columns in stream_traces(session, rollup, progress=progress):
            yield columns, active_features(store.load(columns.trace_id))[0]

    return grouped_sums(traces(), group_of(stored))


def grouped_circuit(
    session: Session,
    rollup: ChosenRollup,
    found: GroupedSums,
    stored: Sequence[StoredSupernode],
    *,
    min_presence: float = MIN_PRESENCE,
    by: Rank = "influence",
    max_units: int = 1000,
    max_edges: int = 5000,
) -> GroupedCircuit:
    """Returns the global circuit over supernodes; raises InputError for a presence outside [0, 1]."""
    least = least_traces(rollup.traces, min_presence=min_presence)
    facts = unit_facts(session, found.sums, stored)
    units = [
        unit_of_sums({**facts[row["id"]], **row}, traces=rollup.traces)
        for row in unit_rows(found.sums)
        if row["traced"] >= least
    ]
    edges = [
        edge_of_sums(row, traces=rollup.traces)
        for row in edge_rows(found.sums, facts)
        if row["sums"]["traces"] >= least
    ]
    units.sort(key=lambda unit: (-unit.mean_influence, unit.id))
    edges.sort(key=lambda edge: (-_rank(edge, by), edge.source, edge.target, edge.port))
    sums = found.sums.edge_sums
    ends = zip(sums.source.tolist(), sums.target.tolist(), sums.port.tolist(), strict=True)
    return GroupedCircuit(
        circuit=GlobalCircuit(
            rollup=rollup,
            min_presence=min_presence,
            by=by,
            units=tuple(units[:max_units]),
            edges=tuple(edges[:max_edges]),
            n_units=len(units),
            n_edges=len(edges),
        ),
        inner=found.inner,
        absolute_sums={
            (found.sums.units[source], found.sums.units[target], port): float(absolute)
            for (source, target, port), absolute in zip(ends, sums.absolute_sum, strict=True)
        },
    )


def unit_facts(session: Session, sums: RollupSums, stored: Sequence[StoredSupernode]) -> dict[str, dict[str, Any]]:
    """Returns id -> name, kind, layer and token of every unit and supernode of some sums."""
    facts: dict[str, dict[str, Any]] = {
        row["id"]: row for row in session.run(UNIT_FACTS, units=list(sums.units)).data()
    }
    for each in stored:
        facts[each.id] = {"id": each.id, "name": each.name, "kind": KIND, "layer": each.layer, "token": None}
    return facts


def unit_rows(sums: RollupSums) -> Iterator[dict[str, Any]]:
    """Yields the sums of each unit as a rollup's query returns them."""
    columns = {field.name: getattr(sums.unit_sums, field.name).tolist() for field in fields(sums.unit_sums)}
    places = columns.pop("unit")
    for row, place in enumerate(places):
        yield {"id": sums.units[place], **{name: column[row] for name, column in columns.items()}}


def edge_rows(sums: RollupSums, facts: Mapping[str, Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yields the sums of each edge, with its ends and what its target's are, as a rollup's query returns them."""
    seen = {row["id"]: row for row in unit_rows(sums)}
    columns = {field.name: getattr(sums.edge_sums, field.name).tolist() for field in fields(sums.edge_sums)}
    for row in range(len(columns["source"])):
        values = {name: column[row] for name, column in columns.items()}
        source, target = sums.units[values.pop("source")], sums.units[values.pop("target")]
        yield {
            "source": source,
            "source_name": facts[source]["name"],
            "source_kind": facts[source]["kind"],
            "target": target,
            "target_name": facts[target]["name"],
            "target_kind": facts[target]["kind"],
            "sums": values,
            "target_traced": seen[target]["traced"],
            "target_activation_sum": seen[target]["activation_sum"],
        }


def _rank(edge: CircuitEdge, by: Rank) -> float:
    return edge.mean_share if by == "share" else edge.mean_influence
