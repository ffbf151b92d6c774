"""The traces of a rollup one after the other, so that what is computed from them needs little memory."""

from collections.abc import Callable, Iterator
from itertools import islice

from neo4j import Session

from circuitbase.errors import DatabaseError
from circuitbase.graph.unit_edges import TraceEdges, UnitPair
from circuitbase.queries.rollup_choice import ChosenRollup
from circuitbase.queries.trace_columns import TraceColumns, read_trace_columns

Progress = Callable[[str, int, int], None]  # what is under way, how much of it is done, how much there is


def no_progress(doing: str, done: int, total: int) -> None:
    """Tells nobody."""


SUMMED_TRACES = """
MATCH (trace:Trace)-[:SUMMED_IN]->(:Rollup {id: $rollup})
RETURN trace.id AS id ORDER BY id
"""
FREQUENT_PAIRS = """
MATCH (source:Unit)-[sums:DRIVES]->(target:Unit)
WHERE sums.rollup = $rollup AND sums.traces >= $least
  AND NOT source.kind IN $without AND NOT target.kind IN $without
RETURN collect(source.id) AS source, collect(target.id) AS target, collect(sums.port) AS port
"""
UNIT_NAMES = """
UNWIND $units AS id
MATCH (unit:Unit {id: id})
RETURN unit.id AS id, unit.name AS name
"""


def summed_traces(session: Session, rollup: ChosenRollup) -> list[str]:
    """Returns the ids of the traces in a rollup, sorted."""
    return [row["id"] for row in session.run(SUMMED_TRACES, rollup=rollup.id)]


def stream_traces(
    session: Session, rollup: ChosenRollup, *, progress: Progress = no_progress
) -> Iterator[TraceColumns]:
    """Yields the traces of a rollup in the order of their ids; raises DatabaseError if one is removed meanwhile."""
    ids = summed_traces(session, rollup)
    for done, trace_id in enumerate(ids, start=1):
        columns = read_trace_columns(session, trace_id)
        if columns is None:
            raise DatabaseError(
                f"trace {trace_id[:12]} of prompt set {rollup.prompt_set!r} was removed while it was read; repeat"
            )
        yield columns
        progress(f"reading {rollup.prompt_set}", done, len(ids))


def edges_of(columns: TraceColumns) -> TraceEdges:
    """Returns what of a trace its shared subcircuits depend on."""
    return TraceEdges(
        trace_id=columns.trace_id,
        unit=columns.unit,
        position=columns.position,
        source=columns.edge_source,
        target=columns.edge_target,
        port=columns.edge_port,
        influence=columns.edge_influence,
    )


def frequent_pairs(
    session: Session, rollup: ChosenRollup, *, least: int, without: frozenset[str]
) -> frozenset[UnitPair]:
    """Returns the unit pairs with an edge in at least `least` traces, those with an end of some kinds left out."""
    row = session.run(FREQUENT_PAIRS, rollup=rollup.id, least=least, without=sorted(without)).single(strict=True)
    return frozenset(map(UnitPair, row["source"], row["target"], row["port"]))


def unit_names(session: Session, units: set[str]) -> dict[str, str]:
    """Returns unit id -> the name that people read."""
    ids = iter(sorted(units))
    names: dict[str, str] = {}
    while batch := list(islice(ids, 10_000)):
        names.update({row["id"]: row["name"] for row in session.run(UNIT_NAMES, units=batch)})
    return names
