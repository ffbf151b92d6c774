"""How often each type of motif is in a trace's graph, from its two-edge paths and its degrees."""

import numpy as np
from jaxtyping import Int64

from circuitbase.errors import InputError
from circuitbase.graph.motifs.motif_type import CHAINS, DIAMONDS, FANS_IN, FANS_OUT, INHIBITIONS, LOOPS_FROM, TYPES
from circuitbase.graph.motifs.signed_graph import SignedGraph, is_same_position
from circuitbase.graph.motifs.two_edge_paths import TwoEdgePaths, two_edge_paths

MIN_SIZE = 3  # branches of a fan


def motif_counts(graph: SignedGraph, *, min_size: int = MIN_SIZE) -> Int64[np.ndarray, " type"]:
    """Returns the number of instances of each of TYPES; fans have at least `min_size` branches.

    Costs the two-edge paths, not the instances. Raises InputError for a size below 2.
    """
    check_min_size(min_size)
    found = np.zeros(len(TYPES), dtype=np.int64)
    edge_class = graph.edge_class
    # of each edge bc: the nodes a, by the class of ab, from which it is the second half of a chain
    onto = np.zeros(4 * graph.n_edges, dtype=np.int64)
    for paths in two_edge_paths(graph):
        path_class = 4 * edge_class[paths.first] + edge_class[paths.second]
        is_open = paths.closing < 0
        found[CHAINS:LOOPS_FROM] += np.bincount(path_class[is_open], minlength=16)
        closed = 2 * path_class[~is_open] + ~graph.is_positive[paths.closing[~is_open]]
        found[LOOPS_FROM:DIAMONDS] += np.bincount(closed, minlength=32)
        found[DIAMONDS:INHIBITIONS] += _diamonds(graph, paths)
        onto += np.bincount(4 * paths.second[is_open] + edge_class[paths.first[is_open]], minlength=len(onto))
    found[INHIBITIONS:FANS_IN] = _inhibitions(onto.reshape(-1, 4), edge_class)
    found[FANS_IN:FANS_OUT] = _fans(graph.target, edge_class, min_size=min_size)
    found[FANS_OUT:] = _fans(graph.source, edge_class, min_size=min_size)
    return found


def check_min_size(min_size: int) -> None:
    """Raises InputError for fans of fewer than two branches."""
    if min_size < 2:
        raise InputError(f"a fan has at least 2 branches, got a minimum size of {min_size}")


def _diamonds(graph: SignedGraph, paths: TwoEdgePaths) -> np.ndarray:
    """Returns pairs of paths with the same ends: by the ends' positions, then by the paths' signs."""
    pair, n_pairs = paths.pair, paths.n_pairs
    if n_pairs > 4 * len(pair):  # few of the pairs are joined by a path
        pair = np.unique(pair, return_inverse=True)[1].reshape(-1)
        n_pairs = int(pair.max()) + 1
    is_positive = graph.is_positive[paths.first] == graph.is_positive[paths.second]
    same = is_same_position(graph.position, graph.source[paths.first], graph.target[paths.second])
    found = np.zeros(6, dtype=np.int64)
    for row, chosen in enumerate((same, ~same)):
        # as floats, whose products are sums of squares below 2**53, by far the fastest
        positive, negative = (
            np.bincount(pair[chosen & sign], minlength=n_pairs).astype(np.float64)
            for sign in (is_positive, ~is_positive)
        )
        found[3 * row] = (positive @ positive - positive.sum()) // 2
        found[3 * row + 1] = positive @ negative
        found[3 * row + 2] = (negative @ negative - negative.sum()) // 2
    return found


def _inhibitions(onto: np.ndarray, edge_class: np.ndarray) -> np.ndarray:
    """Returns Σ over positive edges bc of (positive chains into it)·(negative chains into it), by positions."""
    return np.array(
        [
            onto[edge_class == onward, exciting] @ onto[edge_class == onward, 2 + inhibiting]
            for exciting in range(2)
            for inhibiting in range(2)
            for onward in range(2)
        ],
        dtype=np.int64,
    )


def _fans(centre: np.ndarray, edge_class: np.ndarray, *, min_size: int) -> np.ndarray:
    branches = np.bincount(4 * centre + edge_class)
    return np.bincount(np.flatnonzero(branches >= min_size) % 4, minlength=4)
