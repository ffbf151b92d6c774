"""Sums of edge values by node."""

import numpy as np
from jaxtyping import Float, Float64, Int


def sums_of_sorted(
    node: Int[np.ndarray, " edge"], value: Float[np.ndarray, " edge"], *, n_nodes: int
) -> Float64[np.ndarray, " node"]:
    """Returns the same for edges that are sorted by node, with no copy of their values."""
    sums = np.zeros(n_nodes)
    if len(node):
        starts = np.flatnonzero(np.concatenate([[True], node[1:] != node[:-1]]))
        sums[node[starts]] = np.add.reduceat(value, starts, dtype=np.float64)
    return sums


def node_sums(
    node: Int[np.ndarray, " edge"], value: Float[np.ndarray, " edge"], *, n_nodes: int
) -> Float64[np.ndarray, " node"]:
    """Returns the sum of `value` over the edges of each node, in float64 and in edge order."""
    # bincount forgets the type of its weights when there are none
    return np.bincount(node, weights=value, minlength=n_nodes).astype(np.float64, copy=False)
