from collections import Counter, defaultdict
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from circuitbase.errors import InputError
from circuitbase.graph.motifs.edge_support import UnitGraph, edge_support
from circuitbase.graph.motifs.instances import instance_blocks
from circuitbase.graph.motifs.motif_type import TYPES, MotifType, Shape, edge_signs
from circuitbase.graph.motifs.occurrences import occurrences
from circuitbase.graph.motifs.recurring import RecurringMotif, matching_types, recurring_motifs
from circuitbase.graph.motifs.recurring_fans import recurring_fans
from tests.graph.motifs.random_graphs import from_edges, layered_graph

SHAPES = [shape for shape in Shape if not shape.is_fan]


def unit_graphs(seed: int, *, n: int = 4) -> list[UnitGraph]:
    """Traces over few units, so that instances recur, at times twice in one trace."""
    random = np.random.default_rng(seed)
    found = []
    for trace in range(n):
        graph = layered_graph(random, n_layers=4, n_positions=2, per_place=2, probability=0.5)
        unit = tuple(f"L{layer}/F{random.integers(2)}" for layer in graph.layer.tolist())
        found.append(UnitGraph(f"trace{trace}", graph, unit))
    return found


def instances(found: UnitGraph, shape: Shape) -> set[tuple[tuple[str, ...], tuple[int, ...]]]:
    """Units and classes of every instance, one at a time; the halves of a diamond in order."""
    here = set()
    for block in instance_blocks(found.graph, shapes=[shape]):
        for nodes, edges in zip(block.nodes.tolist(), block.edges.tolist(), strict=True):
            units = [found.unit[node] for node in nodes]
            classes = [int(found.graph.edge_class[edge]) for edge in edges]
            if shape == Shape.DIAMOND:
                halves = sorted([(units[1], *classes[:2]), (units[2], *classes[2:])])
                units = [units[0], halves[0][0], halves[1][0], units[3]]
                classes = [*halves[0][1:], *halves[1][1:]]
            here.add((tuple(units), tuple(classes)))
    return here


def as_items(motifs: Iterable[RecurringMotif]) -> dict[tuple, int]:
    return {(motif.units, motif.classes): motif.traces for motif in motifs}


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10**6), st.sampled_from(SHAPES), st.integers(1, 3))
def test_support_counts_the_traces_that_realise_an_instance(seed: int, shape: Shape, least: int) -> None:
    graphs = unit_graphs(seed)
    expected = Counter(each for graph in graphs for each in instances(graph, shape))
    found = recurring_motifs(lambda: graphs, MotifType(shape), least=least, top=10**6)
    assert as_items(found.motifs) == {each: count for each, count in expected.items() if count >= least}
    assert (found.n_found, found.traces, found.least, found.is_cut) == (len(found.motifs), 4, least, False)
    ranks = [(-motif.traces, motif.units, motif.classes) for motif in found.motifs]
    assert ranks == sorted(ranks)


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 10**6), st.sampled_from(SHAPES))
def test_the_order_of_traces_does_not_matter(seed: int, shape: Shape) -> None:
    graphs = unit_graphs(seed)
    found, turned = (recurring_motifs(lambda order=order: order, MotifType(shape)) for order in (graphs, graphs[::-1]))
    assert found == turned


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 10**6), st.sampled_from(SHAPES))
def test_occurrences_are_the_traces_of_the_support(seed: int, shape: Shape) -> None:
    graphs = unit_graphs(seed)
    found = recurring_motifs(lambda: graphs, MotifType(shape), top=5)
    for motif, traces in occurrences(graphs, found.motifs).items():
        expected = [graph.trace_id for graph in graphs if (motif.units, motif.classes) in instances(graph, shape)]
        assert list(traces) == expected and len(traces) == motif.traces


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 10**6), st.sampled_from(SHAPES), st.integers(1, 200))
def test_a_budget_raises_the_least_support_and_stays_exact_above_it(seed: int, shape: Shape, budget: int) -> None:
    graphs = unit_graphs(seed)
    expected = Counter(each for graph in graphs for each in instances(graph, shape))
    found = recurring_motifs(lambda: graphs, MotifType(shape), top=10**6, budget=budget)
    assert len(found.motifs) <= budget
    items = as_items(found.motifs)
    if found.is_cut:
        assert found.least == 4 and all(expected[each] >= count for each, count in items.items())
    else:
        assert items == {each: count for each, count in expected.items() if count >= found.least}


def test_one_type_alone_is_listed_when_asked_for() -> None:
    graphs = unit_graphs(3)
    found = recurring_motifs(lambda: graphs, MotifType(Shape.CHAIN, "+-"), top=10**6)
    assert found.motifs and {motif.signs for motif in found.motifs} == {"+-"}
    assert {motif.positions for motif in found.motifs} > {"ss"}
    assert len(matching_types(MotifType(Shape.CHAIN, positions="so"))) == 4
    assert not matching_types(MotifType(Shape.CHAIN, "++-"))


def test_the_middles_of_a_diamond_are_one_instance_in_either_order() -> None:
    edges = [(0, 1, 1.0), (1, 3, 1.0), (0, 2, -1.0), (2, 3, 1.0)]
    graph = from_edges(*edges)
    turned = from_edges(*((s, t, -w if s == 0 else w) for s, t, w in edges))
    graphs = [UnitGraph("one", graph, ("a", "b", "c", "d")), UnitGraph("two", turned, ("a", "c", "b", "d"))]
    (found,) = recurring_motifs(lambda: graphs, MotifType(Shape.DIAMOND)).motifs
    assert (found.units, edge_signs(*found.classes), found.traces) == (("a", "b", "c", "d"), "++-+", 2)
    assert occurrences(graphs, [found]) == {found: ("one", "two")}


def test_edge_support_counts_each_trace_once_and_numbers_units_in_order() -> None:
    graphs = unit_graphs(5)
    expected: Counter[tuple[str, str, int]] = Counter()
    for graph in graphs:
        ends = zip(graph.graph.source, graph.graph.target, graph.graph.edge_class.tolist(), strict=True)
        expected.update({(graph.unit[s], graph.unit[t], each) for s, t, each in ends})
    support = edge_support(graphs)
    assert support.units == sorted({unit for graph in graphs for unit in graph.unit})
    assert sorted(support.count.tolist()) == sorted(expected.values())
    for graph in graphs:
        ends = zip(graph.graph.source, graph.graph.target, graph.graph.edge_class.tolist(), strict=True)
        wanted = [expected[graph.unit[s], graph.unit[t], each] for s, t, each in ends]
        assert support.of_graph(graph).tolist() == wanted


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10**6), st.sampled_from([Shape.FAN_IN, Shape.FAN_OUT]), st.integers(1, 3))
def test_a_fan_has_its_best_supported_branches_that_are_there_together(seed: int, shape: Shape, least: int) -> None:
    graphs = unit_graphs(seed)
    by_centre: dict[tuple[str, int], list[set[str]]] = defaultdict(list)
    supports: dict[tuple[str, int], Counter[str]] = defaultdict(Counter)
    for found in graphs:
        graph = found.graph
        ends = (graph.target, graph.source) if shape == Shape.FAN_IN else (graph.source, graph.target)
        at_node: dict[tuple[int, int], set[str]] = defaultdict(set)
        for centre, branch, each in zip(*(end.tolist() for end in ends), graph.edge_class.tolist(), strict=True):
            at_node[centre, each].add(found.unit[branch])
        in_trace: dict[tuple[str, int], list[set[str]]] = defaultdict(list)
        for (centre, each), branches in at_node.items():
            in_trace[found.unit[centre], each].append(branches)
        for key, several in in_trace.items():
            supports[key].update(set.union(*several))
            by_centre[key].append(several)  # type: ignore[arg-type]
    expected = {}
    for (centre, each), traces in by_centre.items():
        order = sorted(supports[centre, each], key=lambda unit: (-supports[centre, each][unit], unit))
        order = [unit for unit in order if supports[centre, each][unit] >= least]
        options = [
            (sum(any(set(order[:length]) <= node for node in nodes) for nodes in traces), length)
            for length in range(2, len(order) + 1)
        ]
        if options and max(options)[0] >= least:
            count, length = max(options)
            expected[(centre, *order[:length]), (each,) * length] = count
    found = recurring_fans(lambda: graphs, MotifType(shape), least=least, top=10**6, min_size=2)
    assert as_items(found.motifs) == expected
    for motif, traces in occurrences(graphs, found.motifs).items():
        assert len(traces) == motif.traces


def test_a_fan_is_asked_of_fans() -> None:
    with pytest.raises(InputError, match="a fan was expected, got a chain"):
        recurring_fans(list, MotifType(Shape.CHAIN))
    with pytest.raises(InputError, match="at least 2 branches"):
        recurring_fans(list, TYPES[-1], min_size=1)


def test_of_no_traces_nothing_recurs() -> None:
    assert recurring_motifs(list, MotifType(Shape.CHAIN)).motifs == ()
    assert recurring_fans(list, MotifType(Shape.FAN_IN)).motifs == ()
