"""How many traces realise a path of two edges through the same trace nodes.

The presence of its edges only bounds it: an edge into one position of a unit and one out of another make no path
(methods.md section 3).
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int64


def realised_paths(
    edge: Int64[np.ndarray, " row"], source: Int64[np.ndarray, " row"], target: Int64[np.ndarray, " row"]
) -> set[tuple[int, int]]:
    """Returns the pairs (first, second) of edges that one trace realises in a row.

    `edge` numbers the unit edges, `source` and `target` are the trace nodes of a trace's instances of them.
    """
    if not len(edge):
        return set()
    into = _by_node(target, edge)
    out_of = _by_node(source, edge)
    found: set[tuple[int, int]] = set()
    for node in into.keys() & out_of.keys():
        found.update((first, second) for first in into[node] for second in out_of[node])
    return found


def _by_node(node: np.ndarray, edge: np.ndarray) -> dict[int, Sequence[int]]:
    order = np.lexsort((edge, node))
    nodes, starts = np.unique(node[order], return_index=True)
    parts = np.split(edge[order], starts[1:])
    return {int(each): np.unique(part).tolist() for each, part in zip(nodes.tolist(), parts, strict=True)}
