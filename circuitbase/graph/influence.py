"""Total influence of each node and each edge of an attribution graph on its outputs.

An edge's weight is the direct effect of its source on its target. Influence follows whole walks:
with Â[t, s] = |A[s→t]| / Σ_s' |A[s'→t]| and w the weights of the outputs, the influence of the
nodes is I = wÂ + wÂ² + … (Ameisen et al. 2025). An attribution graph has no
cycle, so the sum ends after as many terms as its longest path has edges, and is exact. Everything
runs over edge lists; several edges between two nodes (ports) add up.
"""

import numpy as np
from jaxtyping import Float, Float64, Int

from circuitbase.errors import InputError
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
    """Returns I, what reaches the outputs over all walks of at least one edge from each node.

    `share` is Â; `output_weight` is w, 0 for every node that is no output. Raises InputError if the
    sum has more terms than there are nodes, as then the edges have a cycle.
    """
    n_nodes = len(output_weight)
    share = share.astype(np.float64)
    influence = np.zeros(n_nodes)
    reached = output_weight.astype(np.float64)
    for _ in range(n_nodes):
        reached = node_sums(source, share * reached[target], n_nodes=n_nodes)
        if not reached.any():
            return influence
        influence += reached
    if n_nodes:
        raise InputError(
            "an attribution graph must have no cycle, but influence still flowed after as many steps as it has nodes "
            f"({n_nodes}); check that every edge runs from an earlier to a later node"
        )
    return influence


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
