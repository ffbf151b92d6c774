"""From nodes and traced rows to the graph that is stored: pruned, with the rest that closes each account."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float64

from circuitbase.graph.attribution_graph import ARRAY_DTYPES, HEAD_DTYPES, AttributionGraph
from circuitbase.graph.edge_blocks import EdgeBlock, Edges, all_edges
from circuitbase.graph.influence import block_influence, through
from circuitbase.graph.node_sums import sums_of_sorted
from circuitbase.graph.pruning import pruned
from circuitbase.graph.scores import GraphScores, completeness_score, graph_scores, replacement_score
from circuitbase.graph.trace import Counts, Scores
from circuitbase.tracing.account import largest_violation
from circuitbase.tracing.components.component_options import ComponentOptions
from circuitbase.tracing.head_split import HeadParts
from circuitbase.tracing.nodes import Nodes
from circuitbase.tracing.options import TraceOptions
from circuitbase.tracing.replacement import ReplacedLayer
from circuitbase.tracing.traced_rows import TracedRows


@dataclass(frozen=True)
class Assembled:
    """The stored graph, the scores of the whole one and of it, and the sizes before pruning.

    `kept_nodes` says which nodes are stored, `edges` are theirs by the numbers before pruning.
    """

    graph: AttributionGraph
    scores: Scores
    counts: Counts
    kept_nodes: Bool[np.ndarray, " node"]
    edges: Edges


def assemble(
    nodes: Nodes,
    rows: TracedRows,
    layers: Sequence[ReplacedLayer],
    *,
    left_out: Bool[np.ndarray, " node"],
    options: TraceOptions | ComponentOptions,
) -> Assembled:
    """Returns the graph to store; influences are those of the whole graph, so that they compare between traces.

    `left_out` are the features that `max_features` did not reach: they are no nodes, and what they do is in
    the rest of their targets. `layers` are those of a dictionary, none in a component trace.
    """
    blocks = [block.among(~left_out) for block in rows.blocks] if left_out.any() else rows.blocks
    influence = block_influence(blocks, rows.absolute_input, nodes.weight)
    n_edges = sum(block.n_edges for block in blocks)
    if options.prune:
        found = pruned(
            nodes.kind,
            blocks,
            nodes.weight,
            influence=influence,
            node_threshold=options.node_threshold,
            edge_threshold=options.edge_threshold,
            silent=nodes.is_silent,
        )
        kept_nodes, edges = found.kept_nodes & ~left_out, found.edges
    else:
        kept_nodes, edges = ~left_out, all_edges(blocks)
    graph = AttributionGraph(**_typed({**_columns(nodes, rows, kept_nodes, edges, influence), **_active(layers)}))
    dropped = options.loses_mass or bool(left_out.any())
    kept_mass = _followed(blocks, rows, influence, nodes.weight) if dropped else 1.0
    return Assembled(
        graph=graph,
        scores=_scores(nodes, rows, influence, kept_nodes, graph, n_edges=n_edges, kept_mass=kept_mass),
        counts=Counts(
            nodes=int((~left_out).sum()), edges=n_edges, active_features=sum(len(each.active) for each in layers)
        ),
        kept_nodes=kept_nodes,
        edges=edges,
    )


def _followed(
    blocks: Sequence[EdgeBlock],
    rows: TracedRows,
    influence: Float64[np.ndarray, " node"],
    weight: Float64[np.ndarray, " node"],
) -> float:
    """Returns the share of the outputs' weight that walks along the edges do not lose to edges that were left out."""
    lost = 0.0
    for block in blocks:
        left_out = rows.absolute_input[block.target] - block.absolute_input()
        lost += float(left_out @ through(block.target, rows.absolute_input, influence + weight))
    return 1 - lost / float(weight.sum())


def with_head_parts(graph: AttributionGraph, parts: HeadParts) -> AttributionGraph:
    """Returns the graph with its edges' parts by head; edges are in the order that they were split in."""
    columns = {
        "head_edge": parts.edge,
        "head_layer": parts.layer,
        "head_index": parts.head,
        "head_weight": parts.weight,
    }
    typed = {name: columns[name].astype(dtype) for name, dtype in HEAD_DTYPES.items()}
    return replace(graph, **typed)


def _columns(
    nodes: Nodes,
    rows: TracedRows,
    kept: Bool[np.ndarray, " node"],
    edges: Edges,
    influence: Float64[np.ndarray, " node"],
) -> dict[str, np.ndarray]:
    new_index = (np.cumsum(kept) - 1).astype(np.int32)
    has_account = nodes.is_target & rows.is_traced
    rest = rows.net_input - sums_of_sorted(edges.target, edges.weight, n_nodes=len(nodes))
    importance = influence + nodes.weight
    carried = through(np.arange(len(nodes)), rows.absolute_input, importance).astype(edges.weight.dtype)
    edge_influence = carried[edges.target]
    np.abs(np.multiply(edge_influence, edges.weight, out=edge_influence), out=edge_influence)
    return {
        "node_kind": nodes.kind[kept],
        "node_layer": nodes.layer[kept],
        "node_position": nodes.position[kept],
        "node_key_position": nodes.key_position[kept],
        "node_unit": nodes.unit[kept],
        "node_activation": nodes.activation[kept],
        "node_influence": influence[kept],
        "node_preactivation": np.where(has_account, nodes.preactivation, np.nan)[kept],
        "node_bias_effect": np.where(has_account, rows.bias_effect, np.nan)[kept],
        "node_rest": np.where(has_account, rest, np.nan)[kept],
        "node_absolute_input": np.where(has_account, rows.absolute_input, np.nan)[kept],
        "node_silent": nodes.is_silent[kept],
        "node_margin": nodes.margin[kept],
        # a graph that keeps every node has edges by the same numbers, and a complete one is worth not copying
        "edge_source": edges.source if kept.all() else new_index[edges.source],
        "edge_target": edges.target if kept.all() else new_index[edges.target],
        "edge_port": np.zeros(len(edges.source), dtype=np.uint8) if edges.port is None else edges.port,
        "edge_weight": edges.weight,
        "edge_influence": edge_influence,
    }


def _active(layers: Sequence[ReplacedLayer]) -> dict[str, np.ndarray]:
    """Returns every active feature; positions without nodes have none."""
    active = [each.active for each in layers]
    if not active:
        return {name: np.zeros(0) for name in ("active_layer", "active_position", "active_unit", "active_value")}
    return {
        "active_layer": np.repeat(np.arange(len(layers)), [len(each) for each in active]),
        "active_position": np.concatenate([each.position.cpu().numpy() for each in active]),
        "active_unit": np.concatenate([each.unit.cpu().numpy() for each in active]),
        "active_value": np.concatenate([each.activation.cpu().numpy() for each in active]),
    }


def _typed(columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: columns[name].astype(dtype, copy=False) for name, dtype in ARRAY_DTYPES.items()}


def _scores(
    nodes: Nodes,
    rows: TracedRows,
    influence: Float64[np.ndarray, " node"],
    kept: Bool[np.ndarray, " node"],
    graph: AttributionGraph,
    *,
    n_edges: int,
    kept_mass: float,
) -> Scores:
    error_share = np.divide(
        rows.unexplained_input, rows.absolute_input, out=np.zeros(len(nodes)), where=rows.absolute_input > 0
    )
    whole = GraphScores(
        replacement=replacement_score(nodes.kind, influence, total=rows.absolute_input),
        completeness=completeness_score(error_share, influence, nodes.weight),
    )
    stored = whole
    if graph.n_edges < n_edges or kept_mass < 1:
        stored = graph_scores(
            graph.node_kind, graph.edge_source, graph.edge_target, graph.edge_weight, nodes.weight[kept]
        )
    has_account = nodes.is_target & rows.is_traced
    return Scores(
        replacement=whole.replacement,
        completeness=whole.completeness,
        pruned_replacement=stored.replacement,
        pruned_completeness=stored.completeness,
        account_violation=largest_violation(
            rows.net_input[has_account],
            bias_effect=rows.bias_effect[has_account],
            preactivation=nodes.preactivation[has_account],
            absolute_input=rows.absolute_input[has_account],
        ),
        stored_account_violation=stored_violation(graph),
        kept_mass=kept_mass,
    )


def stored_violation(graph: AttributionGraph) -> float:
    """Returns the largest violation of the accounts of a stored graph, from its own numbers."""
    has_account = np.isfinite(graph.node_preactivation)
    net = sums_of_sorted(graph.edge_target, graph.edge_weight, n_nodes=graph.n_nodes) + graph.node_rest.astype(
        np.float64
    )
    if graph.pair_link is not None and graph.pair_score is not None:
        net += sums_of_sorted(graph.pair_link, graph.pair_score, n_nodes=graph.n_nodes)
    return largest_violation(
        net[has_account],
        bias_effect=graph.node_bias_effect[has_account].astype(np.float64),
        preactivation=graph.node_preactivation[has_account].astype(np.float64),
        absolute_input=graph.node_absolute_input[has_account].astype(np.float64),
    )
