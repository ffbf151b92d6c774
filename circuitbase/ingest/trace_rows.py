"""A trace as rows: pure columns to lists, checked against the declaration before anything is sent."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64

from circuitbase.errors import DatabaseError
from circuitbase.graph.attribution_graph import AttributionGraph
from circuitbase.graph.trace import Trace, TraceMetadata
from circuitbase.ingest.activations import FeatureActivations, feature_activations
from circuitbase.ingest.unit_rows import UnitRows, unit_rows
from circuitbase.schema.declaration import node, relationship
from circuitbase.schema.kinds import Port
from circuitbase.schema.rows import row, rows
from circuitbase.store.trace_file import array_digest

# One transaction of this size needs about 1.5 GB of Neo4j's heap.
MOST_RELATIONSHIPS = 400_000

Row = tuple[Any, ...]


@dataclass(frozen=True)
class TraceRows:
    """Everything that one trace writes. Node rows end in their unit's id, edge and activation rows begin with ends.

    Pairs are the parts of attention scores, if attention was explained; their rows begin with ends too.
    """

    metadata: TraceMetadata
    array_digest: str
    trace: Row
    units: UnitRows
    nodes: list[Row]
    edges: list[Row]
    pairs: list[Row]
    activations: list[Row]

    @property
    def dictionary_id(self) -> str | None:
        """Returns the id of the trace's dictionary; None for a trace of components."""
        dictionary = self.metadata.dictionary
        return dictionary.id if dictionary else None


def trace_rows(trace: Trace) -> TraceRows:
    """Returns a trace's rows; raises DatabaseError if it is too large for one transaction."""
    graph = trace.graph
    activations = feature_activations(graph)
    n_pairs = 0 if graph.pair_link is None else len(graph.pair_link)
    refuse_too_large(trace, n_relationships=2 + 2 * graph.n_nodes + graph.n_edges + n_pairs + len(activations.unit))
    units = unit_rows(trace, activations)
    digest = array_digest(graph.arrays())
    return TraceRows(
        metadata=trace.metadata,
        array_digest=digest,
        trace=_trace_row(trace, digest),
        units=units,
        nodes=_node_rows(trace, units),
        edges=_edge_rows(graph),
        pairs=_pair_rows(graph),
        activations=_activation_rows(activations, units),
    )


def refuse_too_large(trace: Trace, *, n_relationships: int) -> None:
    """Raises DatabaseError if a trace has too many relationships for one transaction."""
    if n_relationships <= MOST_RELATIONSHIPS:
        return
    options = trace.metadata.options
    found = (
        f"node threshold (now {options['node_threshold']}) or edge threshold (now {options['edge_threshold']})"
        if options.get("prune")
        else "node threshold and edge threshold (it was not pruned at all)"
    )
    again = "import its graph again, pruned" if trace.metadata.unproven else "trace the prompt again"
    raise DatabaseError(
        f"trace {trace.metadata.trace_id[:12]} has {n_relationships:,} relationships, and at most "
        f"{MOST_RELATIONSHIPS:,} are stored; its file stays where it is: {again} with a lower {found}"
    )


def _trace_row(trace: Trace, digest: str) -> Row:
    metadata, graph = trace.metadata, trace.graph
    scores, counts, facts = metadata.scores, metadata.counts, metadata.facts
    return row(
        node("Trace"),
        {
            "id": metadata.trace_id,
            "array_digest": digest,
            "n_nodes": graph.n_nodes,
            "n_edges": graph.n_edges,
            "n_active": len(graph.active_unit),
            "n_nodes_before_pruning": counts.nodes,
            "n_edges_before_pruning": counts.edges,
            "unproven": True if metadata.unproven else None,
            "replacement_score": _score(metadata, scores.replacement),
            "completeness_score": _score(metadata, scores.completeness),
            "pruned_replacement_score": float(scores.pruned_replacement),
            "pruned_completeness_score": float(scores.pruned_completeness),
            "account_violation": _score(metadata, scores.account_violation),
            "stored_account_violation": _score(metadata, scores.stored_account_violation),
            "top_token": facts.top_token_string,
            "top_probability": float(facts.top_probability),
            "answer_rank": facts.answer_rank,
            "correct": facts.correct,
            "logit_difference": None if facts.logit_difference is None else float(facts.logit_difference),
        },
    )


def _node_rows(trace: Trace, units: UnitRows) -> list[Row]:
    graph, strings = trace.graph, trace.metadata.prompt.token_strings
    position = graph.node_position.tolist()
    columns = {
        "index": list(range(graph.n_nodes)),
        "layer": graph.node_layer.tolist(),
        "position": position,
        "token": [strings[place] if place >= 0 else None for place in position],
        "key_position": [None if place < 0 else place for place in graph.node_key_position.tolist()],
        "activation": graph.node_activation.tolist(),
        "influence": graph.node_influence.tolist(),
        "preactivation": _none_for_nan(graph.node_preactivation),
        "bias_effect": _none_for_nan(graph.node_bias_effect),
        "rest": _none_for_nan(graph.node_rest),
        "absolute_input": _none_for_nan(graph.node_absolute_input),
        "silent": graph.node_silent.astype(bool).tolist(),
        "margin": _none_for_nan(graph.node_margin),
    }
    return rows(node("TraceNode"), columns, after=[units.of_node])


def _edge_rows(graph: AttributionGraph) -> list[Row]:
    columns = {
        "weight": graph.edge_weight.tolist(),
        "share": edge_share(graph).tolist(),
        "influence": graph.edge_influence.tolist(),
        "port": _port_names(graph.edge_port),
    }
    return rows(relationship("AFFECTS"), columns, before=[graph.edge_source.tolist(), graph.edge_target.tolist()])


def _pair_rows(graph: AttributionGraph) -> list[Row]:
    columns = graph.arrays()
    if "pair_link" not in columns:
        return []
    found = {name: columns[f"pair_{name}"].tolist() for name in ("link", "score", "attention")}
    ends = [columns["pair_query_node"].tolist(), columns["pair_key_node"].tolist()]
    return rows(relationship("LOOKS_FOR"), found, before=ends)


def edge_share(graph: AttributionGraph) -> Float64[np.ndarray, " edge"]:
    """Returns |weight| over the target's absolute input before pruning, as float64; 0 where both are 0."""
    magnitude = np.abs(graph.edge_weight.astype(np.float64))
    total = graph.node_absolute_input.astype(np.float64)[graph.edge_target]
    return np.divide(magnitude, total, out=np.zeros_like(magnitude), where=magnitude > 0)


def _activation_rows(activations: FeatureActivations, units: UnitRows) -> list[Row]:
    columns = {
        "peak": activations.peak.tolist(),
        "peak_position": activations.peak_position.tolist(),
        "positions": activations.positions.tolist(),
        "total": activations.total.tolist(),
    }
    return rows(relationship("ACTIVATES"), columns, before=[units.of_activation])


def _port_names(port: np.ndarray) -> list[str | None]:
    if not port.any():
        return [None] * len(port)
    names = {int(port): None if port == Port.NONE else port.name.lower() for port in Port}
    return [names[value] for value in port.tolist()]


def _score(metadata: TraceMetadata, score: float) -> float | None:
    return None if metadata.unproven and math.isnan(score) else float(score)


def _none_for_nan(column: np.ndarray) -> list[float | None]:
    return [None if value != value else value for value in column.tolist()]
