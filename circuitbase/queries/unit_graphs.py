"""The signed graphs of a rollup's traces, read from Neo4j one at a time."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from neo4j import Session

from circuitbase.errors import DatabaseError
from circuitbase.graph.motifs.edge_support import UnitGraph
from circuitbase.graph.motifs.signed_graph import signed_graph
from circuitbase.queries.rollup_choice import ChosenRollup
from circuitbase.schema.kinds import UNIT_LABELS, NodeKind

Progress = Callable[[str, int, int], None]  # what is under way, how much of it is done, how much there is

_TRACES = "MATCH (trace:Trace)-[:SUMMED_IN]->(:Rollup {id: $rollup}) RETURN trace.id AS id ORDER BY id"
# Sorting would cost more than it brings: the index of each node comes along.
_NODES = """
MATCH (trace:Trace {id: $trace})-[:CONTAINS]->(node:TraceNode)-[:OF]->(unit:Unit)
RETURN trace.n_nodes AS n_nodes, trace.n_edges AS n_edges, collect(node.index) AS index, collect(unit.id) AS unit,
       collect(unit.kind) AS kind, collect(node.layer) AS layer, collect(node.position) AS position
"""
_EDGES = """
MATCH (:Trace {id: $trace})-[:CONTAINS]->(source:TraceNode)-[edge:AFFECTS]->(target:TraceNode)
RETURN collect(source.index) AS source, collect(target.index) AS target, collect(edge.weight) AS weight
"""
_KINDS = {kind.label: int(kind) for kind in NodeKind}
_KINDS |= {label: int(NodeKind.OTHER_OUTPUT) for label in UNIT_LABELS if label not in _KINDS}
_NAMES = "UNWIND $units AS id MATCH (unit:Unit {id: id}) RETURN unit.id AS id, unit.name AS name"


def no_progress(doing: str, done: int, total: int) -> None:
    """Tells nobody."""


def summed_trace_ids(session: Session, rollup: ChosenRollup) -> list[str]:
    """Returns the ids of the traces in a rollup, sorted."""
    return [row["id"] for row in session.run(_TRACES, rollup=rollup.id)]


def unit_names(session: Session, units: Sequence[str]) -> dict[str, str]:
    """Returns unit id -> the name that people read."""
    return {row["id"]: row["name"] for row in session.run(_NAMES, units=list(units))}


def unit_graphs(
    session: Session, traces: Sequence[str], *, doing: str = "reading", progress: Progress = no_progress
) -> Iterator[UnitGraph]:
    """Yields some traces in their order; raises DatabaseError for one that is gone or incomplete."""
    for done, trace in enumerate(traces, start=1):
        yield unit_graph(session, trace)
        progress(doing, done, len(traces))


def unit_graph(session: Session, trace: str) -> UnitGraph:
    """Returns a stored trace without its errors; raises DatabaseError if it is gone or incomplete."""
    nodes = session.run(_NODES, trace=trace).single()
    edges = session.run(_EDGES, trace=trace).single(strict=True)
    if nodes is None:
        raise DatabaseError(f"trace {trace[:12]} was removed while its prompt set was read; ask again")
    index = np.array(nodes["index"], dtype=np.int64)
    order = np.argsort(index)
    if not np.array_equal(index[order], np.arange(nodes["n_nodes"])) or len(edges["weight"]) != nodes["n_edges"]:
        raise DatabaseError(
            f"trace {trace[:12]} should have {nodes['n_nodes']} nodes and {nodes['n_edges']} edges, but {len(index)} "
            f"and {len(edges['weight'])} are stored; remove it and store it again"
        )
    kind = np.array([_KINDS[label] for label in nodes["kind"]], dtype=np.int64)
    graph = signed_graph(
        kind[order],
        np.array(nodes["layer"], dtype=np.int64)[order],
        np.array(nodes["position"], dtype=np.int64)[order],
        np.array(edges["source"], dtype=np.int64),
        np.array(edges["target"], dtype=np.int64),
        np.array(edges["weight"], dtype=np.float64),
    )
    unit = [nodes["unit"][place] for place in order]
    return UnitGraph(trace, graph, tuple(unit[place] for place in graph.node))
