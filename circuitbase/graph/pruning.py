"""Which nodes and edges of an attribution graph to keep, by influence (Ameisen et al. 2025).

Nodes up to a fraction of the node influence stay, then edges up to a fraction of the edge influence
among them; what dangles after that goes. Input tokens and outputs always stay.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64, Int, UInt8

from circuitbase.graph.influence import absolute_input, edge_influence, input_share, node_influence
from circuitbase.schema.kinds import OUTPUT_KINDS, NodeKind

_ALWAYS_KEPT = tuple(int(kind) for kind in (NodeKind.INPUT_TOKEN, *OUTPUT_KINDS))
# Errors have no in-edges by definition; everything else that has none was cut off from its causes.
_WITHOUT_INPUT = (*_ALWAYS_KEPT, int(NodeKind.LAYER_ERROR))


@dataclass(frozen=True)
class Pruning:
    """What to keep of a graph, and the influences it was judged by.

    `node_influence` and `edge_influence` are those of the graph before pruning, so that they compare
    between traces. `edge_score` is the influence through an edge of the graph of kept nodes, whose
    input shares were renormalised; 0 for edges of lost nodes.
    """

    kept_nodes: Bool[np.ndarray, " node"]
    kept_edges: Bool[np.ndarray, " edge"]
    node_influence: Float64[np.ndarray, " node"]
    edge_influence: Float64[np.ndarray, " edge"]
    edge_score: Float64[np.ndarray, " edge"]


def pruned(
    kind: UInt8[np.ndarray, " node"],
    source: Int[np.ndarray, " edge"],
    target: Int[np.ndarray, " edge"],
    weight: Float[np.ndarray, " edge"],
    output_weight: Float[np.ndarray, " node"],
    *,
    node_threshold: float,
    edge_threshold: float,
    total: Float[np.ndarray, " node"] | None = None,
) -> Pruning:
    """Returns what stays at the two fractions of influence.

    `kind` holds NodeKind numbers, `output_weight` is w (0 off the outputs). `total` is Σ|A| per
    target where the graph given was itself cut from a larger one; by default that of these edges.
    """
    n_nodes = len(kind)
    if total is None:
        total = absolute_input(target, weight, n_nodes=n_nodes)
    share = input_share(target, weight, total)
    influence = node_influence(source, target, share, output_weight)
    always = np.isin(kind, _ALWAYS_KEPT)
    kept_nodes = kept_up_to(influence, fraction=node_threshold) | always

    inside = np.flatnonzero(kept_nodes[source] & kept_nodes[target])
    score = np.zeros(len(source))
    score[inside] = _scores_among(source[inside], target[inside], weight[inside], output_weight)
    kept_edges = kept_up_to(score, fraction=edge_threshold)
    kept_nodes, kept_edges = _without_dangling(kind, source, target, kept_nodes, kept_edges)
    return Pruning(
        kept_nodes=kept_nodes,
        kept_edges=kept_edges,
        node_influence=influence,
        edge_influence=edge_influence(target, share, output_weight, influence),
        edge_score=score,
    )


def kept_up_to(score: Float[np.ndarray, " item"], *, fraction: float) -> Bool[np.ndarray, " item"]:
    """Returns which scores make up `fraction` of their sum, from the largest down; ties stay together.

    The cut is the first score, in descending order, at which the running sum reaches the fraction.
    A score of 0 is never kept, also where rounding lets the running sum miss the whole at fraction 1.
    """
    positive = np.sort(score[score > 0].astype(np.float64))[::-1]
    if len(positive) == 0:
        return np.zeros(len(score), dtype=bool)
    running = np.cumsum(positive)
    last = len(positive) - 1
    # At 1 every positive score stays, also one so small that the running sum does not show it.
    cut = last if fraction >= 1 else min(last, int(np.searchsorted(running, fraction * running[-1], side="left")))
    return score >= positive[cut]


def _scores_among(
    source: Int[np.ndarray, " edge"],
    target: Int[np.ndarray, " edge"],
    weight: Float[np.ndarray, " edge"],
    output_weight: Float[np.ndarray, " node"],
) -> Float64[np.ndarray, " edge"]:
    """Returns the influence through each edge when these are all the edges there are."""
    share = input_share(target, weight, absolute_input(target, weight, n_nodes=len(output_weight)))
    influence = node_influence(source, target, share, output_weight)
    return edge_influence(target, share, output_weight, influence)


def _without_dangling(
    kind: UInt8[np.ndarray, " node"],
    source: Int[np.ndarray, " edge"],
    target: Int[np.ndarray, " edge"],
    kept_nodes: Bool[np.ndarray, " node"],
    kept_edges: Bool[np.ndarray, " edge"],
) -> tuple[Bool[np.ndarray, " node"], Bool[np.ndarray, " edge"]]:
    """Returns the masks less the nodes that lead nowhere or, errors apart, come from nowhere.

    A node's removal can leave another dangling, so this repeats until nothing changes.
    """
    n_nodes = len(kind)
    needs_output = ~np.isin(kind, _ALWAYS_KEPT)
    needs_input = ~np.isin(kind, _WITHOUT_INPUT)
    while True:
        has_output = np.bincount(source[kept_edges], minlength=n_nodes) > 0
        has_input = np.bincount(target[kept_edges], minlength=n_nodes) > 0
        dangling = kept_nodes & ((needs_output & ~has_output) | (needs_input & ~has_input))
        if not dangling.any():
            return kept_nodes, kept_edges
        kept_nodes = kept_nodes & ~dangling
        kept_edges = kept_edges & kept_nodes[source] & kept_nodes[target]
