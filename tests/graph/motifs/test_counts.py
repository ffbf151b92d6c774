from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from circuitbase.errors import InputError
from circuitbase.graph.motifs.counts import motif_counts
from circuitbase.graph.motifs.instances import instance_blocks, motif_instances
from circuitbase.graph.motifs.motif_type import TYPES, MotifType, Shape
from circuitbase.graph.motifs.signed_graph import SignedGraph, signed_graph
from circuitbase.graph.motifs.two_edge_paths import two_edge_paths
from circuitbase.schema.kinds import NodeKind
from tests.graph.motifs.random_graphs import enumerated, from_edges, layered_graph


@st.composite
def graphs(draw: st.DrawFn) -> SignedGraph:
    """Layered graphs with parallel edges, errors and, at times, positions summed."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n = draw(st.integers(0, 12))
    layer = np.sort(random.integers(-1, 4, n))
    position = np.full(n, -1) if draw(st.integers(0, 4)) == 0 else random.integers(0, 3, n)
    kinds = [NodeKind.FEATURE, NodeKind.INPUT_TOKEN, NodeKind.LAYER_ERROR, NodeKind.HEAD]
    kind = random.choice(kinds, size=n, p=[0.6, 0.2, 0.1, 0.1]).astype(np.uint8)
    possible = (layer[:, None] < layer[None, :]) & (position[:, None] <= position[None, :])
    density = draw(st.sampled_from([0.2, 0.6, 1.0]))
    source, target = np.nonzero(possible & (random.random((n, n)) < density))
    again = random.random(len(source)) < 0.2  # into another port
    source, target = (np.concatenate([column, column[again]]) for column in (source, target))
    weight = random.choice([-2.0, -1.0, 1.0, 3.0], size=len(source))
    order = random.permutation(len(source))
    return signed_graph(kind, layer, position, source[order], target[order], weight[order])


def counted(graph: SignedGraph, *, min_size: int = 3) -> dict[MotifType, int]:
    counts = motif_counts(graph, min_size=min_size)
    return {type: int(count) for type, count in zip(TYPES, counts, strict=True) if count}


def listed(graph: SignedGraph, *, min_size: int = 3) -> Counter[tuple[MotifType, tuple[int, ...]]]:
    return Counter((found.type, found.nodes) for found in motif_instances(graph, min_size=min_size))


@settings(deadline=None, max_examples=150)
@given(graphs(), st.integers(2, 4))
def test_instances_are_those_that_networkx_finds_each_once(graph: SignedGraph, min_size: int) -> None:
    expected = enumerated(graph, min_size=min_size)
    assert listed(graph, min_size=min_size) == expected
    assert set(expected.values()) <= {1}


@settings(deadline=None, max_examples=150)
@given(graphs(), st.integers(2, 4))
def test_counts_are_those_of_the_instances(graph: SignedGraph, min_size: int) -> None:
    by_type = Counter(type for type, _ in listed(graph, min_size=min_size))
    assert counted(graph, min_size=min_size) == by_type


@settings(deadline=None, max_examples=60)
@given(graphs(), st.integers(0, 2**32 - 1))
def test_instances_of_some_edges_are_those_made_of_them(graph: SignedGraph, seed: int) -> None:
    among = np.random.default_rng(seed).random(graph.n_edges) < 0.6
    whole = {shape: set() for shape in Shape}
    part = {shape: set() for shape in Shape}
    for block in instance_blocks(graph, min_size=2):
        whole[block.shape] |= {tuple(row) for row in block.edges.tolist() if among[row].all()}
    for block in instance_blocks(graph, min_size=2, among=among):
        part[block.shape] |= {tuple(row) for row in block.edges.tolist()}
    for shape in Shape:
        if not shape.is_fan:  # a fan of some edges is part of a larger one
            assert part[shape] == whole[shape], shape


@settings(deadline=None, max_examples=30)
@given(graphs())
def test_the_edges_of_a_block_lie_between_its_nodes(graph: SignedGraph) -> None:
    for block in instance_blocks(graph, min_size=2):
        spokes = [(0, k + 1) for k in range(block.edges.shape[1])]
        fans = {Shape.FAN_IN: [(end, start) for start, end in spokes], Shape.FAN_OUT: spokes}
        for column, (start, end) in enumerate(fans.get(block.shape, list(block.shape.edges))):
            assert (graph.source[block.edges[:, column]] == block.nodes[:, start]).all()
            assert (graph.target[block.edges[:, column]] == block.nodes[:, end]).all()


def test_a_triangle_is_a_loop_and_no_chain() -> None:
    graph = from_edges((0, 1, 1.0), (1, 2, -1.0), (0, 2, -0.5), position={2: 1})
    assert counted(graph) == {MotifType(Shape.COHERENT_LOOP, "+--", "so"): 1}
    graph = from_edges((0, 1, 1.0), (1, 2, -1.0), (0, 2, 0.5), position={1: 1, 2: 1})
    assert counted(graph) == {MotifType(Shape.INCOHERENT_LOOP, "+-+", "os"): 1}


def test_a_diamond_with_an_edge_across_is_a_diamond_still() -> None:
    edges = [(0, 1, 1.0), (0, 2, 1.0), (1, 3, 1.0), (2, 3, -1.0)]
    assert counted(from_edges(*edges))[MotifType(Shape.DIAMOND, "+-", "s")] == 1
    assert counted(from_edges(*edges, (1, 2, 1.0)))[MotifType(Shape.DIAMOND, "+-", "s")] == 1


def test_an_inhibitor_acts_through_the_middle_alone() -> None:
    path = [(0, 2, 1.0), (1, 2, -1.0), (2, 3, 1.0)]
    wanted = MotifType(Shape.INHIBITION, "+-+", "sss")
    assert counted(from_edges(*path))[wanted] == 1
    assert counted(from_edges(*path, (0, 1, 1.0)))[wanted] == 1
    for around in ((0, 3, 1.0), (1, 3, -1.0)):
        assert wanted not in counted(from_edges(*path, around))


def test_a_fan_has_branches_alike_in_sign_and_position() -> None:
    graph = from_edges((0, 4, 1.0), (1, 4, 2.0), (2, 4, 1.0), (3, 4, -1.0))
    assert counted(graph, min_size=3) == {MotifType(Shape.FAN_IN, "+", "s"): 1}
    assert listed(graph, min_size=3) == {(MotifType(Shape.FAN_IN, "+", "s"), (4, 0, 1, 2)): 1}
    assert counted(graph, min_size=4) == {}


def test_errors_and_edges_that_cancel_are_left_out() -> None:
    kind = np.array([NodeKind.FEATURE, NodeKind.LAYER_ERROR, NodeKind.FEATURE, NodeKind.HEAD], dtype=np.uint8)
    source, target = np.array([0, 1, 0, 0, 2, 2]), np.array([2, 2, 3, 3, 3, 3])
    weight = np.array([1.0, 1.0, 2.0, -2.0, 1.0, 0.5])
    graph = signed_graph(kind, np.arange(4), np.zeros(4, dtype=int), source, target, weight)
    assert graph.node.tolist() == [0, 2, 3]
    assert counted(graph) == {MotifType(Shape.CHAIN, "++", "ss"): 1}
    assert listed(graph) == {(MotifType(Shape.CHAIN, "++", "ss"), (0, 2, 3)): 1}


def test_where_positions_are_summed_no_edge_stays_at_one() -> None:
    graph = from_edges((0, 1, 1.0), (1, 2, 1.0), position={0: -1, 1: -1, 2: -1})
    assert counted(graph) == {MotifType(Shape.CHAIN, "++", "oo"): 1}


def test_blocks_of_paths_do_not_change_what_is_found() -> None:
    graph = layered_graph(np.random.default_rng(0), n_layers=4, per_place=3, probability=0.6)
    whole, parts = (
        {
            edges
            for block in two_edge_paths(graph, places=places)
            for edges in zip(block.first.tolist(), block.second.tolist(), block.closing.tolist(), strict=True)
        }
        for places in (10**6, 1)
    )
    assert whole == parts and len(whole) > 100


def test_instances_are_made_as_they_are_asked_for() -> None:
    layers = np.repeat(np.arange(60), 2)
    source, target = np.nonzero(layers[:, None] < layers[None, :])
    kind, weight = np.full(len(layers), int(NodeKind.FEATURE)), np.ones(len(source))
    graph = signed_graph(kind, layers, np.zeros(len(layers), dtype=int), source, target, weight)
    assert motif_counts(graph)[TYPES.index(MotifType(Shape.DIAMOND, "++", "s"))] > 10**6
    first = next(motif_instances(graph, shapes=[Shape.DIAMOND]))
    assert first.nodes[1] < first.nodes[2]


def test_a_fan_of_one_branch_is_refused() -> None:
    graph = from_edges((0, 1, 1.0))
    for asked in (lambda: motif_counts(graph, min_size=1), lambda: next(motif_instances(graph, min_size=1))):
        with pytest.raises(InputError, match="a fan has at least 2 branches, got a minimum size of 1"):
            asked()
