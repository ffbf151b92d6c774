"""The instances of motifs in one trace's graph, made as they are asked for."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Int64

from circuitbase.graph.motifs.counts import MIN_SIZE, check_min_size
from circuitbase.graph.motifs.motif_type import (
    CHAINS,
    DIAMONDS,
    FANS,
    FANS_IN,
    FANS_OUT,
    INHIBITIONS,
    LOOPS,
    LOOPS_FROM,
    TYPES,
    MotifType,
    Shape,
)
from circuitbase.graph.motifs.signed_graph import SignedGraph, is_same_position
from circuitbase.graph.motifs.two_edge_paths import TwoEdgePaths, two_edge_paths

ROWS = 1 << 18  # most instances of a block, one source's paths aside


@dataclass(frozen=True)
class MotifInstance:
    """One motif: its type and the nodes of the trace in the order of the roles; of a fan the centre, then the rest."""

    type: MotifType
    nodes: tuple[int, ...]


@dataclass(frozen=True)
class InstanceBlock:
    """Instances of one shape: places in TYPES, places of nodes in the order of the roles, edges in that of the shape's.

    A block of fans holds one fan, whose row is its centre and its branches.
    """

    shape: Shape
    type: Int64[np.ndarray, " instance"]
    nodes: Int64[np.ndarray, "instance role"]
    edges: Int64[np.ndarray, "instance edge"]


def motif_instances(
    graph: SignedGraph, *, shapes: Collection[Shape] = tuple(Shape), min_size: int = MIN_SIZE
) -> Iterator[MotifInstance]:
    """Yields every instance of some shapes once, lazily; raises InputError for fans of fewer than 2 branches."""
    for block in instance_blocks(graph, shapes=shapes, min_size=min_size):
        nodes = graph.node[block.nodes]
        for type, row in zip(block.type.tolist(), nodes.tolist(), strict=True):
            yield MotifInstance(TYPES[type], tuple(row))


def instance_blocks(
    graph: SignedGraph,
    *,
    shapes: Collection[Shape] = tuple(Shape),
    min_size: int = MIN_SIZE,
    among: Bool[np.ndarray, " edge"] | None = None,
) -> Iterator[InstanceBlock]:
    """Yields the instances of some shapes in blocks; with `among` those alone that are made of some edges.

    What a shape must not have is looked for among all edges.
    """
    check_min_size(min_size)
    wanted = set(shapes)
    if wanted & {Shape.CHAIN, *LOOPS, Shape.DIAMOND}:
        for paths in two_edge_paths(graph, among=among):
            if Shape.CHAIN in wanted:
                yield _chains(graph, paths)
            for shape in sorted(wanted & set(LOOPS)):
                yield _loops(graph, paths, shape, among=among)
            if Shape.DIAMOND in wanted:
                yield from _diamonds(graph, paths)
    if Shape.INHIBITION in wanted:
        yield from _inhibitions(graph, among=among)
    for shape in sorted(wanted & set(FANS)):
        yield from _fans(graph, shape, min_size=min_size, among=among)


def _path_class(graph: SignedGraph, paths: TwoEdgePaths) -> np.ndarray:
    edge_class = graph.edge_class
    return 4 * edge_class[paths.first] + edge_class[paths.second]


def _chains(graph: SignedGraph, paths: TwoEdgePaths) -> InstanceBlock:
    chosen = paths.closing < 0
    edges = np.stack([paths.first[chosen], paths.second[chosen]], axis=1)
    nodes = np.stack([graph.source[edges[:, 0]], graph.source[edges[:, 1]], graph.target[edges[:, 1]]], axis=1)
    return InstanceBlock(Shape.CHAIN, CHAINS + _path_class(graph, paths)[chosen], nodes, edges)


def _loops(graph: SignedGraph, paths: TwoEdgePaths, shape: Shape, *, among: np.ndarray | None) -> InstanceBlock:
    closed = paths.closing >= 0
    product = graph.is_positive[paths.first] == graph.is_positive[paths.second]
    coherent = product == graph.is_positive[paths.closing]
    chosen = closed & (coherent if shape == Shape.COHERENT_LOOP else ~coherent)
    if among is not None:
        chosen &= among[paths.closing]
    edges = np.stack([column[chosen] for column in (paths.first, paths.second, paths.closing)], axis=1)
    nodes = np.stack([graph.source[edges[:, 0]], graph.source[edges[:, 1]], graph.target[edges[:, 1]]], axis=1)
    type = LOOPS_FROM + 2 * _path_class(graph, paths)[chosen] + ~graph.is_positive[edges[:, 2]]
    return InstanceBlock(shape, type, nodes, edges)


def _diamonds(graph: SignedGraph, paths: TwoEdgePaths) -> Iterator[InstanceBlock]:
    """Yields pairs of paths with the same ends; b is the middle that stands first among the nodes."""
    order = np.lexsort((graph.target[paths.first], paths.pair))
    pair = paths.pair[order]
    is_new = np.concatenate([[True], pair[1:] != pair[:-1]])
    before = np.arange(len(pair)) - np.flatnonzero(is_new)[np.cumsum(is_new) - 1]  # paths of the pair before this one
    ends = np.cumsum(before)
    start = 0
    while start < len(order):
        stop = max(start + 1, int(np.searchsorted(ends, (ends[start - 1] if start else 0) + ROWS, side="right")))
        count = before[start:stop]
        later = np.repeat(np.arange(start, stop), count)
        within = np.arange(len(later)) - np.repeat(np.cumsum(count) - count, count)
        one, other = order[later - np.repeat(count, count) + within], order[later]
        yield _diamond_block(graph, paths, one, other)
        start = stop


def _diamond_block(graph: SignedGraph, paths: TwoEdgePaths, one: np.ndarray, other: np.ndarray) -> InstanceBlock:
    edges = np.stack([paths.first[one], paths.second[one], paths.first[other], paths.second[other]], axis=1)
    start, end = graph.source[edges[:, 0]], graph.target[edges[:, 1]]
    nodes = np.stack([start, graph.source[edges[:, 1]], graph.source[edges[:, 3]], end], axis=1)
    is_positive = graph.is_positive[edges]
    negative = (is_positive[:, 0] ^ is_positive[:, 1]).astype(np.int64) + (is_positive[:, 2] ^ is_positive[:, 3])
    type = DIAMONDS + 3 * ~is_same_position(graph.position, start, end) + negative
    return InstanceBlock(Shape.DIAMOND, type, nodes, edges)


def _inhibitions(graph: SignedGraph, *, among: np.ndarray | None) -> Iterator[InstanceBlock]:
    """Yields, for each positive edge bc, the exciting and inhibiting sources of b without an edge to c, in pairs."""
    exciting, inhibiting = _positive_endings(graph, among=among)
    count = np.bincount(inhibiting.onward, minlength=graph.n_edges)
    begin = np.cumsum(count) - count
    ends = np.cumsum(count[exciting.onward])
    start = 0
    while start < len(ends):
        stop = max(start + 1, int(np.searchsorted(ends, (ends[start - 1] if start else 0) + ROWS, side="right")))
        times = count[exciting.onward[start:stop]]
        ab, onward = (np.repeat(column[start:stop], times) for column in (exciting.first, exciting.onward))
        within = np.arange(len(ab)) - np.repeat(np.cumsum(times) - times, times)
        ib = inhibiting.first[begin[onward] + within]
        nodes = [graph.source[ab], graph.source[ib], graph.source[onward], graph.target[onward]]
        other = (~graph.same_position).astype(np.int64)
        type = INHIBITIONS + 4 * other[ab] + 2 * other[ib] + other[onward]
        yield InstanceBlock(Shape.INHIBITION, type, np.stack(nodes, axis=1), np.stack([ab, ib, onward], axis=1))
        start = stop


@dataclass(frozen=True)
class _Halves:
    """First edges ab of chains and the edges bc with which they go on, sorted by these."""

    first: np.ndarray
    onward: np.ndarray


def _positive_endings(graph: SignedGraph, *, among: np.ndarray | None) -> tuple[_Halves, _Halves]:
    """Returns the chains that end in a positive edge: those that begin with a positive edge, and the others."""
    first, onward = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    for paths in two_edge_paths(graph, among=among):
        chosen = (paths.closing < 0) & graph.is_positive[paths.second]
        first.append(paths.first[chosen])
        onward.append(paths.second[chosen])
    of_first, of_onward = np.concatenate(first), np.concatenate(onward)
    order = np.lexsort((of_first, of_onward))
    is_positive = graph.is_positive[of_first[order]]
    exciting, inhibiting = (order[chosen] for chosen in (is_positive, ~is_positive))
    return _Halves(of_first[exciting], of_onward[exciting]), _Halves(of_first[inhibiting], of_onward[inhibiting])


def _fans(graph: SignedGraph, shape: Shape, *, min_size: int, among: np.ndarray | None) -> Iterator[InstanceBlock]:
    centre, branch = (graph.target, graph.source) if shape == Shape.FAN_IN else (graph.source, graph.target)
    edge_class = graph.edge_class
    chosen = np.arange(graph.n_edges) if among is None else np.flatnonzero(among)
    order = chosen[np.lexsort((branch[chosen], edge_class[chosen], centre[chosen]))]
    alike = 4 * centre[order] + edge_class[order]
    bound = [0, *(np.flatnonzero(alike[1:] != alike[:-1]) + 1).tolist(), len(order)]
    first_type = FANS_IN if shape == Shape.FAN_IN else FANS_OUT
    for start, stop in pairwise(bound):
        if stop - start >= min_size:
            edges = order[start:stop][None, :]
            nodes = np.concatenate([centre[edges[0, :1]], branch[edges[0]]])[None, :]
            yield InstanceBlock(shape, first_type + edge_class[edges[0, :1]], nodes, edges)
