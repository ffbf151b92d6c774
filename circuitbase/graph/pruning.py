"""Which nodes and edges of an attribution graph to keep, by influence (Ameisen et al. 2025).

Nodes up to a fraction of the node influence stay, then edges up to a fraction of the edge influence
among them; what dangles after that goes. Input tokens and what the trace ends in always stay.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64, UInt8

from circuitbase.graph.edge_blocks import EdgeBlock, Edges, joined
from circuitbase.graph.influence import block_influence, through
from circuitbase.graph.scores import is_unexplained
from circuitbase.schema.kinds import OUTPUT_KINDS, NodeKind

_ALWAYS_KEPT = tuple(int(kind) for kind in (NodeKind.INPUT_TOKEN, *OUTPUT_KINDS))
_ROUNDING = 1e-11  # scores that are equal on paper differ by less than this, and sums that reach a fraction too
_BINS_PER_OCTAVE_BITS = 10
_OCTAVES = 64


@dataclass(frozen=True)
class Pruning:
    """What to keep of a graph: nodes as a mask, edges sorted by target and source."""

    kept_nodes: Bool[np.ndarray, " node"]
    edges: Edges


def pruned(
    kind: UInt8[np.ndarray, " node"],
    blocks: Sequence[EdgeBlock],
    output_weight: Float[np.ndarray, " node"],
    *,
    influence: Float64[np.ndarray, " node"],
    node_threshold: float,
    edge_threshold: float,
    silent: Bool[np.ndarray, " node"] | None = None,
) -> Pruning:
    """Returns what stays at the two fractions of influence.

    `kind` holds NodeKind numbers, `output_weight` is w (0 where the trace does not end), `influence`
    that of the whole graph. `silent` nodes were asked for and stay; having no influence, they keep
    the largest in-edges that make up `edge_threshold` of their input from kept nodes.
    """
    if silent is None:
        silent = np.zeros(len(kind), dtype=bool)
    always = np.isin(kind, _ALWAYS_KEPT) | (output_weight > 0) | silent
    kept_nodes = kept_up_to(influence, fraction=node_threshold) | always
    inside = [block.among(kept_nodes) for block in blocks]
    carried = carried_by_edges(inside, output_weight)
    cut = cut_score(lambda: scores(inside, carried), fraction=edge_threshold)
    found = [
        block.edges(_chosen(block, carried, cut=cut, silent=silent, edge_threshold=edge_threshold)) for block in inside
    ]
    # what stands for a part that nothing explains has no in-edges; all else without any was cut off from its causes
    needs_input = ~is_unexplained(kind, total_input(blocks, n_nodes=len(kind))) & ~always
    return _without_dangling(kept_nodes, joined(found), needs_output=~always, needs_input=needs_input)


def carried_by_edges(
    blocks: Sequence[EdgeBlock], output_weight: Float[np.ndarray, " node"]
) -> Float64[np.ndarray, " node"]:
    """Returns, by target, the influence that a unit of |A| carries when these are all the edges there are."""
    total = total_input(blocks, n_nodes=len(output_weight))
    importance = block_influence(blocks, total, output_weight) + output_weight
    return through(np.arange(len(total)), total, importance)


def total_input(blocks: Sequence[EdgeBlock], *, n_nodes: int) -> Float64[np.ndarray, " node"]:
    """Returns Σ|A| over the in-edges of each node."""
    total = np.zeros(n_nodes)
    for block in blocks:
        total[block.target] = block.absolute_input()
    return total


def scores(
    blocks: Sequence[EdgeBlock], carried: Float64[np.ndarray, " node"]
) -> Iterator[Float64[np.ndarray, " place"]]:
    """Yields the influence through each edge, block by block."""
    for block in blocks:
        yield block.scores(carried[block.target])


def kept_up_to(score: Float[np.ndarray, " item"], *, fraction: float) -> Bool[np.ndarray, " item"]:
    """Returns which scores make up `fraction` of their sum, from the largest down; ties stay together.

    A score of 0 is never kept, also where rounding lets the running sum miss the whole at fraction 1.
    """
    return score >= cut_score(lambda: iter([score.astype(np.float64)]), fraction=fraction)


def cut_score(parts: Callable[[], Iterator[Float64[np.ndarray, " item"]]], *, fraction: float) -> float:
    """Returns the first score, in descending order, at which the running sum reaches `fraction` of the whole.

    `parts` yields all scores, some at a time, each time it is called. They are sorted only within the narrow
    range that holds the cut. Infinite if no score is positive; at fraction 1 the smallest positive one. What
    rounding may take is subtracted, so that scores equal to the cut stay together.
    """
    largest = max((float(part.max(initial=0.0)) for part in parts()), default=0.0)
    if largest <= 0:
        return np.inf
    if fraction >= 1:
        return min(float(part[part > 0].min(initial=np.inf)) for part in parts())
    top = int(_bin(np.array([largest]))[0])
    mass = np.zeros((_OCTAVES << _BINS_PER_OCTAVE_BITS) + 1)
    for part in parts():
        mass += np.bincount(_below(part, top), weights=part, minlength=len(mass))
    running = np.cumsum(mass)
    wanted = fraction * running[-1] * (1 - _ROUNDING)
    place = min(int(np.searchsorted(running, wanted, side="left")), int(np.flatnonzero(mass)[-1]))
    close = np.concatenate([part[(_below(part, top) == place) & (part > 0)] for part in parts()])
    ordered = np.sort(close)[::-1]
    above = running[place] - mass[place]
    last = int(np.searchsorted(above + np.cumsum(ordered), wanted, side="left"))
    return float(ordered[min(last, len(ordered) - 1)]) * (1 - _ROUNDING)


def _bin(score: Float64[np.ndarray, " item"]) -> np.ndarray:
    """Returns numbers that grow with positive scores: the exponent and the first bits of the fraction."""
    return np.ascontiguousarray(score).view(np.int64) >> (52 - _BINS_PER_OCTAVE_BITS)


def _below(score: Float64[np.ndarray, " item"], top: int) -> np.ndarray:
    """Returns how many bins each score lies below the largest, with all that lie far below in the last."""
    return np.minimum(top - _bin(score), _OCTAVES << _BINS_PER_OCTAVE_BITS)


def _chosen(
    block: EdgeBlock,
    carried: Float64[np.ndarray, " node"],
    *,
    cut: float,
    silent: Bool[np.ndarray, " node"],
    edge_threshold: float,
) -> Bool[np.ndarray, " place"]:
    chosen = block.scores(carried[block.target]) >= cut
    for row in np.flatnonzero(silent[block.target] & (carried[block.target] == 0)):
        alone = np.zeros(len(block.target))
        alone[row] = 1.0
        chosen |= kept_up_to(block.scores(alone), fraction=edge_threshold)
    return chosen


def _without_dangling(
    kept_nodes: Bool[np.ndarray, " node"],
    edges: Edges,
    *,
    needs_output: Bool[np.ndarray, " node"],
    needs_input: Bool[np.ndarray, " node"],
) -> Pruning:
    """Returns what is left without the nodes that lead nowhere or, if they need a cause, come from nowhere.

    A node's removal can leave another dangling, so this repeats until nothing changes.
    """
    while True:
        has_output = np.bincount(edges.source, minlength=len(kept_nodes)) > 0
        has_input = np.bincount(edges.target, minlength=len(kept_nodes)) > 0
        dangling = kept_nodes & ((needs_output & ~has_output) | (needs_input & ~has_input))
        if not dangling.any():
            return Pruning(kept_nodes, edges)
        kept_nodes = kept_nodes & ~dangling
        stays = kept_nodes[edges.source] & kept_nodes[edges.target]
        port = None if edges.port is None else edges.port[stays]
        edges = Edges(edges.source[stays], edges.target[stays], edges.weight[stays], port)
