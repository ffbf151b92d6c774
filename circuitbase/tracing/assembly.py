"""From all nodes and effects to the graph that is stored: pruned, with the rest that closes each account."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64

from circuitbase.graph.attribution_graph import ARRAY_DTYPES, AttributionGraph
from circuitbase.graph.influence import absolute_input, edge_influence, input_share, node_influence
from circuitbase.graph.node_sums import node_sums
from circuitbase.graph.pruning import pruned
from circuitbase.graph.scores import graph_scores
from circuitbase.graph.trace import Scores
from circuitbase.tracing.account import largest_violation
from circuitbase.tracing.effects import Effects
from circuitbase.tracing.nodes import Nodes
from circuitbase.tracing.options import TraceOptions
from circuitbase.tracing.replacement import ReplacedMlp


@dataclass(frozen=True)
class Assembled:
    """The stored graph and the scores of the whole one and of it."""

    graph: AttributionGraph
    scores: Scores


@dataclass(frozen=True)
class _Kept:
    nodes: Bool[np.ndarray, " node"]
    edges: Bool[np.ndarray, " edge"]
    node_influence: Float64[np.ndarray, " node"]
    edge_influence: Float64[np.ndarray, " edge"]


def assemble(nodes: Nodes, effects: Effects, mlps: Sequence[ReplacedMlp], *, options: TraceOptions) -> Assembled:
    """Returns the graph to store; influences are those of the whole graph, so that they compare between traces."""
    total = absolute_input(effects.target, effects.weight, n_nodes=len(nodes))
    kept = _kept(nodes, effects, total, options=options)
    graph = AttributionGraph(**_typed({**_columns(nodes, effects, total, kept), **_active(mlps)}))
    return Assembled(graph=graph, scores=_scores(nodes, effects, total, kept, graph))


def _kept(nodes: Nodes, effects: Effects, total: Float64[np.ndarray, " node"], *, options: TraceOptions) -> _Kept:
    if options.prune:
        found = pruned(
            nodes.kind,
            effects.source,
            effects.target,
            effects.weight,
            nodes.output_weight,
            node_threshold=options.node_threshold,
            edge_threshold=options.edge_threshold,
            total=total,
        )
        return _Kept(found.kept_nodes, found.kept_edges, found.node_influence, found.edge_influence)
    share = input_share(effects.target, effects.weight, total)
    influence = node_influence(effects.source, effects.target, share, nodes.output_weight)
    return _Kept(
        nodes=np.ones(len(nodes), dtype=bool),
        edges=np.ones(len(effects.source), dtype=bool),
        node_influence=influence,
        edge_influence=edge_influence(effects.target, share, nodes.output_weight, influence),
    )


def _columns(nodes: Nodes, effects: Effects, total: Float64[np.ndarray, " node"], kept: _Kept) -> dict[str, np.ndarray]:
    rows, edges = kept.nodes, kept.edges
    new_index = np.cumsum(rows) - 1
    rest = node_sums(effects.target[~edges], effects.weight[~edges], n_nodes=len(nodes))
    n_nodes = int(rows.sum())
    return {
        "node_kind": nodes.kind[rows],
        "node_layer": nodes.layer[rows],
        "node_position": nodes.position[rows],
        "node_key_position": np.full(n_nodes, -1),
        "node_unit": nodes.unit[rows],
        "node_activation": nodes.activation[rows],
        "node_influence": kept.node_influence[rows],
        "node_preactivation": nodes.preactivation[rows],
        "node_bias_effect": np.where(nodes.is_target, effects.bias_effect, np.nan)[rows],
        "node_rest": np.where(nodes.is_target, rest, np.nan)[rows],
        "node_absolute_input": np.where(nodes.is_target, total, np.nan)[rows],
        "node_silent": np.zeros(n_nodes),
        "node_margin": np.full(n_nodes, np.nan),
        "edge_source": new_index[effects.source[edges]],
        "edge_target": new_index[effects.target[edges]],
        "edge_port": np.zeros(int(edges.sum())),
        "edge_weight": effects.weight[edges],
        "edge_influence": kept.edge_influence[edges],
    }


def _active(mlps: Sequence[ReplacedMlp]) -> dict[str, np.ndarray]:
    """Returns every active feature; positions without nodes have none."""
    return {
        "active_layer": np.repeat(np.arange(len(mlps)), [mlp.n_active for mlp in mlps]),
        "active_position": np.concatenate([mlp.position.cpu().numpy() for mlp in mlps]),
        "active_unit": np.concatenate([mlp.unit.cpu().numpy() for mlp in mlps]),
        "active_value": np.concatenate([mlp.activation.cpu().numpy() for mlp in mlps]),
    }


def _typed(columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: columns[name].astype(dtype) for name, dtype in ARRAY_DTYPES.items()}


def _scores(
    nodes: Nodes, effects: Effects, total: Float64[np.ndarray, " node"], kept: _Kept, graph: AttributionGraph
) -> Scores:
    whole = graph_scores(nodes.kind, effects.source, effects.target, effects.weight, nodes.output_weight, total=total)
    stored = graph_scores(
        graph.node_kind, graph.edge_source, graph.edge_target, graph.edge_weight, nodes.output_weight[kept.nodes]
    )
    return Scores(
        replacement=whole.replacement,
        completeness=whole.completeness,
        pruned_replacement=stored.replacement,
        pruned_completeness=stored.completeness,
        account_violation=largest_violation(
            effects.target,
            effects.weight,
            rest=np.zeros(len(nodes)),
            bias_effect=effects.bias_effect,
            preactivation=nodes.preactivation,
            absolute_input=total,
        ),
        stored_account_violation=largest_violation(
            graph.edge_target,
            graph.edge_weight,
            rest=graph.node_rest,
            bias_effect=graph.node_bias_effect,
            preactivation=graph.node_preactivation,
            absolute_input=graph.node_absolute_input,
        ),
    )
