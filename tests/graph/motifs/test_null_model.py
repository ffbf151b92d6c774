from collections import Counter
from itertools import permutations

import numpy as np
import pytest
from scipy.stats import chisquare

from circuitbase.errors import InputError
from circuitbase.graph.motifs.motif_type import FANS_IN
from circuitbase.graph.motifs.null_model import NullOptions, null_counts, swap_classes, swapped
from circuitbase.graph.motifs.signed_graph import SignedGraph, is_same_position, signed_graph
from tests.graph.motifs.random_graphs import from_edges, layered_graph


def pairs(graph: SignedGraph) -> list[tuple[int, int]]:
    return list(zip(graph.source.tolist(), graph.target.tolist(), strict=True))


def degrees(graph: SignedGraph) -> Counter[tuple]:
    """In- and out-degrees of each node, by layer and kind of the other end, sign and position class."""
    found: Counter[tuple] = Counter()
    for edge, (source, target) in enumerate(pairs(graph)):
        sort = bool(graph.is_positive[edge]), bool(graph.same_position[edge])
        found["out", source, int(graph.layer[target]), int(graph.kind[target]), *sort] += 1
        found["in", target, int(graph.layer[source]), int(graph.kind[source]), *sort] += 1
    return found


def two_layers(
    sources: dict[int, int], targets: dict[int, int], edges: list[tuple[int, int]], signs: list[float] | None = None
) -> SignedGraph:
    """Two layers of nodes with their positions; the targets' numbers go on from the sources'."""
    positions = np.array([*sources.values(), *targets.values()])
    layer = np.repeat([0, 1], [len(sources), len(targets)])
    source, target = (np.array(column) for column in zip(*edges, strict=True))
    weight = np.array(signs or [1.0] * len(edges))
    return signed_graph(np.ones(len(layer), dtype=np.uint8), layer, positions, source, target, weight)


@pytest.mark.parametrize("seed", range(4))
def test_swaps_keep_degrees_signs_position_classes_and_the_order_of_positions(seed: int) -> None:
    random = np.random.default_rng(seed)
    graph = layered_graph(random, n_layers=4, per_place=4, probability=0.4)
    drawn = swapped(graph, swap_classes(graph), rounds=20, random=random)
    assert pairs(drawn) != pairs(graph)
    assert len(set(pairs(drawn))) == graph.n_edges
    assert degrees(drawn) == degrees(graph)
    assert (drawn.position[drawn.source] <= drawn.position[drawn.target]).all()
    assert (is_same_position(drawn.position, drawn.source, drawn.target) == drawn.same_position).all()


def test_edges_of_other_layers_kinds_signs_or_classes_do_not_swap() -> None:
    other_layer = from_edges((0, 1, 1.0), (2, 3, 1.0))
    other_sign = two_layers({0: 0, 1: 0}, {2: 0, 3: 0}, [(0, 2), (1, 3)], [1.0, -1.0])
    other_class = two_layers({0: 0, 1: 1}, {2: 0, 3: 2}, [(0, 2), (1, 3)])
    earlier = two_layers({0: 0, 1: 2}, {2: 1, 3: 3}, [(0, 2), (1, 3)])
    doubling = two_layers({0: 0, 1: 0}, {2: 0, 3: 0}, [(0, 2), (1, 3), (1, 2)], [1.0, 1.0, -1.0])
    for graph in (other_layer, other_sign, other_class, earlier, doubling):
        drawn = swapped(graph, swap_classes(graph), rounds=30, random=np.random.default_rng(0))
        assert pairs(drawn) == pairs(graph)


def test_long_walks_reach_every_graph_with_the_same_degrees_equally_often() -> None:
    graph = two_layers(dict.fromkeys(range(4), 0), dict.fromkeys(range(4, 8), 0), [(k, 4 + k) for k in range(4)])
    classes, random = swap_classes(graph), np.random.default_rng(1)
    seen: Counter[tuple] = Counter()
    for _ in range(2400):
        graph = swapped(graph, classes, rounds=4, random=random)
        seen[tuple(graph.target.tolist())] += 1
    assert set(seen) == set(permutations(range(4, 8)))
    assert chisquare(list(seen.values())).pvalue > 1e-3


def test_a_round_is_as_likely_as_its_reverse() -> None:
    """Edges that get in each other's way: from every graph to every other, counted over many single rounds."""
    edges = [(0, 4), (0, 5), (1, 5), (2, 6), (3, 4), (3, 6)]
    start = two_layers(dict.fromkeys(range(4), 0), dict.fromkeys(range(4, 7), 0), edges)
    classes, random = swap_classes(start), np.random.default_rng(2)
    graph, steps = start, Counter()
    for _ in range(6_000):
        after = swapped(graph, classes, rounds=1, random=random)
        steps[tuple(graph.target.tolist()), tuple(after.target.tolist())] += 1
        graph = after
    assert len({state for state, _ in steps}) > 40
    both = [(count, steps[after, before]) for (before, after), count in steps.items() if before < after]
    forth, back = np.array(both).T
    z = (forth - back) / np.sqrt(forth + back)
    assert np.abs(z).max() < 4.5


def test_samples_follow_from_seed_and_trace_alone() -> None:
    graph = layered_graph(np.random.default_rng(0), n_layers=4, per_place=3)
    options = NullOptions(samples=5, rounds=3, seed=7)
    first, again, other = (null_counts(graph, options=options, trace_id=trace) for trace in ("ab", "ab", "cd"))
    reseeded = null_counts(graph, options=NullOptions(samples=5, rounds=3, seed=8), trace_id="ab")
    assert (first.counts == again.counts).all() and first.moved == again.moved
    assert (first.counts != other.counts).any()
    assert (first.counts != reseeded.counts).any()


def test_edges_count_as_moved_where_the_graph_lacks_them() -> None:
    frozen = from_edges((0, 1, 1.0), (2, 3, 1.0))
    assert null_counts(frozen, options=NullOptions(samples=3), trace_id="ab").moved == 0
    free = two_layers({0: 0, 1: 0}, {2: 0, 3: 0}, [(0, 2), (1, 3)])
    assert 0.6 < null_counts(free, options=NullOptions(samples=99), trace_id="ab").moved < 1.4


def test_fans_are_the_same_in_every_sample() -> None:
    graph = layered_graph(np.random.default_rng(0), n_layers=4, per_place=3)
    found = null_counts(graph, options=NullOptions(samples=9), trace_id="ab").counts[FANS_IN:]
    assert found.sum() > 0 and (found == found[:, :1]).all()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (NullOptions(samples=0), "needs at least 1 of its samples, got 0"),
        (NullOptions(rounds=0), "needs at least 1 of its rounds, got 0"),
        (NullOptions(seed=-1), "a seed must be 0 or more, got -1"),
    ],
)
def test_options_out_of_range_are_refused(options: NullOptions, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        null_counts(from_edges((0, 1, 1.0)), options=options, trace_id="ab")
