"""Cutting a foreign graph to what is stored: pruned as ours if it never was, influence and scores by our definitions.

What only an account knows (constants, pre-activations) stays unknown. For the rest of a target there is a number
where the graph came whole.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64

from circuitbase.errors import InputError
from circuitbase.graph.attribution_graph import ARRAY_DTYPES, AttributionGraph
from circuitbase.graph.edge_blocks import DenseBlock, Edges, all_edges
from circuitbase.graph.influence import block_influence, through
from circuitbase.graph.node_sums import sums_of_sorted
from circuitbase.graph.pruning import pruned, total_input
from circuitbase.graph.scores import GraphScores, completeness_score, graph_scores, replacement_score
from circuitbase.graph.trace import Counts, Scores
from circuitbase.ingest.foreign.foreign_graph import ForeignGraph
from circuitbase.schema.kinds import NodeKind


@dataclass(frozen=True)
class Cutting:
    """How a graph that was never pruned is pruned: as `TraceOptions` says for traces of ours."""

    prune: bool = True
    node_threshold: float = 0.8
    edge_threshold: float = 0.98

    def __post_init__(self) -> None:
        for name in ("node_threshold", "edge_threshold"):
            if not 0 < getattr(self, name) <= 1:
                raise InputError(f"{name} must be in (0, 1], got {getattr(self, name)}")


@dataclass(frozen=True)
class CutGraph:
    """The graph to store, the scores of the whole one and of it, and the sizes before."""

    graph: AttributionGraph
    scores: Scores
    counts: Counts


def cut_graph(graph: ForeignGraph, cutting: Cutting) -> CutGraph:
    """Returns what is stored of a graph; raises InputError if it has a cycle."""
    nodes, blocks = graph.nodes, graph.blocks
    total = total_input(blocks, n_nodes=len(nodes.kind))
    influence = block_influence(blocks, total, nodes.weight)
    if graph.is_whole and cutting.prune:
        found = pruned(
            nodes.kind,
            blocks,
            nodes.weight,
            influence=influence,
            node_threshold=cutting.node_threshold,
            edge_threshold=cutting.edge_threshold,
        )
        kept, edges = found.kept_nodes, found.edges
    else:
        kept, edges = np.ones(len(nodes.kind), dtype=bool), all_edges(blocks)
    return CutGraph(
        graph=_columns(graph, kept, edges, total=total, influence=influence),
        scores=_scores(graph, kept, edges, total=total, influence=influence),
        counts=Counts(
            nodes=len(nodes.kind),
            edges=sum(block.n_edges for block in blocks),
            active_features=len(graph.active.unit),
        ),
    )


def _columns(
    graph: ForeignGraph,
    kept: Bool[np.ndarray, " node"],
    edges: Edges,
    *,
    total: Float64[np.ndarray, " node"],
    influence: Float64[np.ndarray, " node"],
) -> AttributionGraph:
    nodes, n_nodes = graph.nodes, len(kept)
    new_index = np.cumsum(kept) - 1
    unknown = np.full(n_nodes, np.nan)
    is_target = total > 0
    net = np.zeros(n_nodes)
    for block in graph.blocks:
        net[block.target] = block.net_input()
    rest = np.where(is_target, net - sums_of_sorted(edges.target, edges.weight, n_nodes=n_nodes), np.nan)
    carried = through(np.arange(n_nodes), total, influence + nodes.weight)
    is_silent = (nodes.kind == NodeKind.FEATURE) & (nodes.activation == 0)
    columns: dict[str, Any] = {
        "node_kind": nodes.kind,
        "node_layer": nodes.layer,
        "node_position": nodes.position,
        "node_key_position": np.full(n_nodes, -1),
        "node_unit": nodes.unit,
        "node_activation": np.nan_to_num(nodes.activation, nan=0.0),
        "node_influence": influence,
        "node_preactivation": unknown,
        "node_bias_effect": unknown,
        "node_rest": rest if graph.is_whole else unknown,
        "node_absolute_input": np.where(is_target, total, np.nan),
        "node_silent": is_silent,
        "node_margin": unknown,
    }
    columns = {column: values[kept] for column, values in columns.items()} | {
        "edge_source": new_index[edges.source],
        "edge_target": new_index[edges.target],
        "edge_port": np.zeros(len(edges.source)),
        "edge_weight": edges.weight,
        "edge_influence": np.abs(edges.weight) * carried[edges.target],
        "active_layer": graph.active.layer,
        "active_position": graph.active.position,
        "active_unit": graph.active.unit,
        "active_value": graph.active.value,
    }
    return AttributionGraph(**{column: np.asarray(columns[column]).astype(t) for column, t in ARRAY_DTYPES.items()})


def _scores(
    graph: ForeignGraph,
    kept: Bool[np.ndarray, " node"],
    edges: Edges,
    *,
    total: Float64[np.ndarray, " node"],
    influence: Float64[np.ndarray, " node"],
) -> Scores:
    nodes = graph.nodes
    whole = GraphScores(math.nan, math.nan)
    if graph.is_whole:
        from_errors = np.divide(_from_errors(graph), total, out=np.zeros(len(total)), where=total > 0)
        whole = GraphScores(
            replacement=replacement_score(nodes.kind, influence, total=total),
            completeness=completeness_score(from_errors, influence, nodes.weight),
        )
    new_index = np.cumsum(kept) - 1
    stored = graph_scores(
        nodes.kind[kept], new_index[edges.source], new_index[edges.target], edges.weight, nodes.weight[kept]
    )
    return Scores(
        replacement=whole.replacement,
        completeness=whole.completeness,
        pruned_replacement=stored.replacement,
        pruned_completeness=stored.completeness,
        account_violation=math.nan,
        stored_account_violation=math.nan,
        kept_mass=1.0 if graph.is_whole and graph.all_features else math.nan,
    )


def _from_errors(graph: ForeignGraph) -> Float64[np.ndarray, " node"]:
    """Returns Σ|A| from errors into each node of a graph that is whole."""
    is_error = graph.nodes.kind == NodeKind.LAYER_ERROR
    found = np.zeros(len(is_error))
    for block in graph.blocks:
        assert isinstance(block, DenseBlock)
        errors = is_error[block.source]
        found[block.target] = DenseBlock(block.target, block.source[errors], block.weight[:, errors]).absolute_input()
    return found
