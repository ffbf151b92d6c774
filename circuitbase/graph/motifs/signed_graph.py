"""A trace's graph as motifs see it: simple, without error nodes, each edge with a sign and a position class."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int64, Integer

from circuitbase.schema.kinds import NodeKind


@dataclass(frozen=True)
class SignedGraph:
    """Nodes and simple edges, sorted by source; `source` and `target` are places in the columns of nodes.

    `node` is a node's index in its trace, `kind` a number of NodeKind, `position` -1 where positions are summed.
    `same_position` is a class: both ends have a position, and it is one; every other edge is of the class other.
    """

    node: Int64[np.ndarray, " node"]
    kind: Int64[np.ndarray, " node"]
    layer: Int64[np.ndarray, " node"]
    position: Int64[np.ndarray, " node"]
    source: Int64[np.ndarray, " edge"]
    target: Int64[np.ndarray, " edge"]
    is_positive: Bool[np.ndarray, " edge"]
    same_position: Bool[np.ndarray, " edge"]

    @property
    def n_nodes(self) -> int:
        """Returns the number of nodes that are no errors."""
        return len(self.node)

    @property
    def n_edges(self) -> int:
        """Returns the number of edges between them."""
        return len(self.source)

    @property
    def edge_class(self) -> Int64[np.ndarray, " edge"]:
        """Returns sign and position class as one number: 0 + same, 1 + other, 2 - same, 3 - other."""
        return 2 * (~self.is_positive).astype(np.int64) + (~self.same_position).astype(np.int64)

    @property
    def first_edge(self) -> Int64[np.ndarray, " bound"]:
        """Returns for each node, and after the last, where the edges that leave it begin."""
        return np.searchsorted(self.source, np.arange(self.n_nodes + 1)).astype(np.int64)


def signed_graph(
    kind: Integer[np.ndarray, " node"],
    layer: Integer[np.ndarray, " node"],
    position: Integer[np.ndarray, " node"],
    source: Integer[np.ndarray, " edge"],
    target: Integer[np.ndarray, " edge"],
    weight: Float[np.ndarray, " edge"],
) -> SignedGraph:
    """Returns the signed graph of a trace's columns.

    Error nodes go with their edges. Edges between the same two nodes (into q, k and v of a head) are one, of their
    summed weight; a sum of 0 is no edge.
    """
    node = np.flatnonzero(kind != NodeKind.LAYER_ERROR)
    place = np.full(len(kind), -1, dtype=np.int64)
    place[node] = np.arange(len(node))
    start, end = place[source], place[target]
    kept = (start >= 0) & (end >= 0)
    pair, row = np.unique(start[kept] * max(len(node), 1) + end[kept], return_inverse=True)
    total = np.bincount(row, weights=weight[kept].astype(np.float64), minlength=len(pair))
    pair, total = pair[total != 0], total[total != 0]
    start, end = np.divmod(pair, max(len(node), 1))
    where = position[node].astype(np.int64)
    return SignedGraph(
        node=node.astype(np.int64),
        kind=kind[node].astype(np.int64),
        layer=layer[node].astype(np.int64),
        position=where,
        source=start,
        target=end,
        is_positive=total > 0,
        same_position=is_same_position(where, start, end),
    )


def is_same_position(
    position: Int64[np.ndarray, " node"], source: Int64[np.ndarray, " pair"], target: Int64[np.ndarray, " pair"]
) -> Bool[np.ndarray, " pair"]:
    """Returns whether both of each pair of nodes stand at one token position; -1 is none."""
    return (position[source] == position[target]) & (position[source] >= 0)
