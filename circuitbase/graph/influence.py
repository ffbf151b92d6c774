"""Total influence of each node and each edge of an attribution graph on its outputs.

An edge's weight is the direct effect of its source on its target. Influence follows whole walks:
with Â[t, s] = |A[s→t]| / Σ_s' |A[s'→t]| and w the weights of the outputs, the influence of the
nodes is I = wÂ + wÂ² + … (Ameisen et al. 2025). An attribution graph has no
cycle, so one pass from the outputs down, in topological order, is the whole sum, and exact. Several
edges between two nodes (ports) add up.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Float64, Int, Int64

from circuitbase.graph.edge_blocks import EdgeBlock, blocks_of
from circuitbase.graph.node_sums import node_sums


def absolute_input(
    target: Int[np.ndarray, " edge"], weight: Float[np.ndarray, " edge"], *, n_nodes: int
) -> Float64[np.ndarray, " node"]:
    """Returns Σ|A| over the in-edges of each node."""
    return node_sums(target, np.abs(weight.astype(np.float64)), n_nodes=n_nodes)


def input_share(
    target: Int[np.ndarray, " edge"],
    weight: Float[np.ndarray, " edge"],
    total: Float[np.ndarray, " node"],
) -> Float64[np.ndarray, " edge"]:
    """Returns Â: each edge's |weight| as a fraction of its target's `total` input, 0 where that is 0.

    `total` is `absolute_input` of the edges themselves, or of a larger graph that they were cut from;
    then a node's shares sum to less than 1.
    """
    magnitude = np.abs(weight.astype(np.float64))
    return np.divide(magnitude, total[target], out=np.zeros_like(magnitude), where=magnitude > 0)


def node_influence(
    source: Int[np.ndarray, " edge"],
    target: Int[np.ndarray, " edge"],
    share: Float[np.ndarray, " edge"],
    output_weight: Float[np.ndarray, " node"],
) -> Float64[np.ndarray, " node"]:
    """Returns I of any edge list, what reaches the outputs over all walks of at least one edge from each node.

    `share` is Â; `output_weight` is w, 0 for every node that is no output. Raises InputError if the
    edges have a cycle.
    """
    n_nodes = len(output_weight)
    blocks = blocks_of(source, target, share.astype(np.float64), n_nodes=n_nodes)
    return block_influence(blocks, np.ones(n_nodes), output_weight)


def block_influence(
    blocks: Sequence[EdgeBlock], total: Float64[np.ndarray, " node"], output_weight: Float[np.ndarray, " node"]
) -> Float64[np.ndarray, " node"]:
    """Returns I of edges in blocks, in one pass from the last block to the first; `total` is Σ|A| per target."""
    influence = np.zeros(len(output_weight))
    for block in reversed(blocks):
        block.add_flow(through(block.target, total, influence + output_weight), influence)
    return influence


def through(
    target: Int64[np.ndarray, " target"],
    total: Float64[np.ndarray, " node"],
    importance: Float[np.ndarray, " node"],
) -> Float64[np.ndarray, " target"]:
    """Returns what a unit of |A| into each target carries: its importance (I + w) over its total input."""
    return np.divide(importance[target], total[target], out=np.zeros(len(target)), where=total[target] > 0)


def edge_influence(
    target: Int[np.ndarray, " edge"],
    share: Float[np.ndarray, " edge"],
    output_weight: Float[np.ndarray, " node"],
    influence: Float[np.ndarray, " node"],
) -> Float64[np.ndarray, " edge"]:
    """Returns Â[t, s]·(I[t] + w[t]), the influence that runs through each edge.

    Summed over the out-edges of a node it is the node's own influence.
    """
    return share.astype(np.float64) * (influence + output_weight).astype(np.float64)[target]
