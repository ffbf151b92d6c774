"""All paths of two edges, some sources at a time: what every motif but a fan is made of."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int64

from circuitbase.graph.motifs.signed_graph import SignedGraph

PLACES = 1 << 18  # pairs of a block's sources with all nodes: a table of them stays in the cache


@dataclass(frozen=True)
class TwoEdgePaths:
    """Paths a -> b -> c from some sources a, all of those from each.

    `first`, `second` and `closing` are edges: ab, bc and ac, -1 where there is none. `pair` numbers (a, c), below
    `n_pairs`.
    """

    first: Int64[np.ndarray, " path"]
    second: Int64[np.ndarray, " path"]
    closing: Int64[np.ndarray, " path"]
    pair: Int64[np.ndarray, " path"]
    n_pairs: int


def two_edge_paths(
    graph: SignedGraph, *, among: Bool[np.ndarray, " edge"] | None = None, places: int = PLACES
) -> Iterator[TwoEdgePaths]:
    """Yields the paths in blocks of neighbouring sources.

    `among` restricts ab and bc to some edges; `closing` is looked for among all.
    """
    chosen = np.arange(graph.n_edges) if among is None else np.flatnonzero(among)
    bound = np.searchsorted(graph.source[chosen], np.arange(graph.n_nodes + 1))
    every = graph.first_edge
    n_leaving = np.diff(bound)[graph.target[chosen]]  # of each chosen edge: the chosen edges that go on from its end
    rows = max(1, places // max(graph.n_nodes, 1))
    for lowest in range(0, graph.n_nodes, rows):
        highest = min(lowest + rows, graph.n_nodes)
        here = slice(bound[lowest], bound[highest])
        count = n_leaving[here]
        if not count.any():
            continue
        table = np.full((highest - lowest) * graph.n_nodes, -1, dtype=np.int64)
        all_here = np.arange(every[lowest], every[highest])
        table[(graph.source[all_here] - lowest) * graph.n_nodes + graph.target[all_here]] = all_here
        first = np.repeat(chosen[here], count)
        within = np.arange(len(first)) - np.repeat(np.cumsum(count) - count, count)
        second = chosen[bound[graph.target[first]] + within]
        pair = (graph.source[first] - lowest) * graph.n_nodes + graph.target[second]
        yield TwoEdgePaths(first, second, table[pair], pair, n_pairs=len(table))
