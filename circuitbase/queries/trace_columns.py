"""One stored trace read back as columns.

Neo4j sends a column of numbers as one list far faster than as many rows: 499,000 against 33,000
edges a second. An edge's share is not read but computed, from the absolute input of its end.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64, UInt8
from neo4j import ManagedTransaction, Session

from circuitbase.errors import DatabaseError
from circuitbase.schema.kinds import NodeKind, Port

# Sorting would cost more than it brings: the index of each node comes along.
READ_NODES = """
MATCH (trace:Trace {id: $trace})-[:CONTAINS]->(node:TraceNode)-[:OF]->(unit:Unit)
RETURN collect(node.index) AS index, collect(unit.id) AS unit, collect(unit.kind) AS kind,
       collect(node.position) AS position, collect(node.activation) AS activation,
       collect(node.influence) AS influence, collect(coalesce(node.absolute_input, 0.0)) AS absolute_input,
       collect(node.silent) AS silent
"""
READ_EDGES = """
MATCH (:Trace {id: $trace})-[:CONTAINS]->(source:TraceNode)-[edge:AFFECTS]->(target:TraceNode)
RETURN collect(source.index) AS source, collect(target.index) AS target,
       collect(edge.weight) AS weight, collect(edge.influence) AS influence
"""
READ_EDGES_WITH_PORTS = """
MATCH (:Trace {id: $trace})-[:CONTAINS]->(source:TraceNode)-[edge:AFFECTS]->(target:TraceNode)
RETURN collect(source.index) AS source, collect(target.index) AS target,
       collect(edge.weight) AS weight, collect(edge.influence) AS influence,
       collect(coalesce(edge.port, 'none')) AS port
"""
READ_SIZES = """
MATCH (trace:Trace {id: $trace})-[:UNDER]->(configuration:Configuration)
RETURN trace.n_nodes AS nodes, trace.n_edges AS edges, configuration.kind = 'components' AS has_ports
"""
_PORTS = {"none": Port.NONE, "q": Port.Q, "k": Port.K, "v": Port.V}


@dataclass(frozen=True)
class TraceColumns:
    """A trace's nodes, in the order of their index, and its edges between them.

    `unit` holds unit ids; `is_feature` and `is_active` say how a node counts as active: a feature by
    the trace file, anything else by not being silent. `edge_source` and `edge_target` are node indices.
    """

    trace_id: str
    unit: tuple[str, ...]
    is_feature: Bool[np.ndarray, " node"]
    is_active: Bool[np.ndarray, " node"]
    position: Int64[np.ndarray, " node"]
    activation: Float64[np.ndarray, " node"]
    influence: Float64[np.ndarray, " node"]
    edge_source: Int64[np.ndarray, " edge"]
    edge_target: Int64[np.ndarray, " edge"]
    edge_port: UInt8[np.ndarray, " edge"]
    edge_weight: Float64[np.ndarray, " edge"]
    edge_share: Float64[np.ndarray, " edge"]
    edge_influence: Float64[np.ndarray, " edge"]


def read_trace_columns(reader: Session | ManagedTransaction, trace_id: str) -> TraceColumns | None:
    """Returns a stored trace, None if there is none; raises DatabaseError if part of it is missing."""
    sizes = reader.run(READ_SIZES, trace=trace_id).single()
    if sizes is None:
        return None
    nodes = reader.run(READ_NODES, trace=trace_id).single(strict=True)
    edges = reader.run(READ_EDGES_WITH_PORTS if sizes["has_ports"] else READ_EDGES, trace=trace_id).single(strict=True)
    index = np.array(nodes["index"], dtype=np.int64)
    order = np.argsort(index)
    weight = np.array(edges["weight"], dtype=np.float64)
    if not np.array_equal(index[order], np.arange(sizes["nodes"])) or len(weight) != sizes["edges"]:
        raise DatabaseError(
            f"trace {trace_id[:12]} should have {sizes['nodes']} nodes and {sizes['edges']} edges, but {len(index)} "
            f"and {len(weight)} are stored; remove it and store it again"
        )
    kinds = np.array(nodes["kind"], dtype=str)[order]
    target = np.array(edges["target"], dtype=np.int64)
    absolute_input = np.array(nodes["absolute_input"], dtype=np.float64)[order]
    return TraceColumns(
        trace_id=trace_id,
        unit=tuple(nodes["unit"][place] for place in order),
        is_feature=kinds == NodeKind.FEATURE.label,
        is_active=~np.array(nodes["silent"], dtype=bool)[order],
        position=np.array(nodes["position"], dtype=np.int64)[order],
        activation=np.array(nodes["activation"], dtype=np.float64)[order],
        influence=np.array(nodes["influence"], dtype=np.float64)[order],
        edge_source=np.array(edges["source"], dtype=np.int64),
        edge_target=target,
        edge_port=_ports(edges["port"] if sizes["has_ports"] else None, len(weight)),
        edge_weight=weight,
        edge_share=shares(weight, absolute_input[target]),
        edge_influence=np.array(edges["influence"], dtype=np.float64),
    )


def _ports(names: list[str] | None, n_edges: int) -> UInt8[np.ndarray, " edge"]:
    if names is None:
        return np.zeros(n_edges, dtype=np.uint8)
    return np.array([_PORTS[name] for name in names], dtype=np.uint8)


def shares(
    weight: Float64[np.ndarray, " edge"], absolute_input: Float64[np.ndarray, " edge"]
) -> Float64[np.ndarray, " edge"]:
    """Returns |weight| over the absolute input of each edge's target; 0 where that is 0."""
    magnitude = np.abs(weight)
    return np.divide(magnitude, absolute_input, out=np.zeros_like(magnitude), where=absolute_input > 0)
