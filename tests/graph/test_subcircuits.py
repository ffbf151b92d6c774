import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from circuitbase.graph.lift import lift, support
from circuitbase.graph.subcircuits import SubcircuitSearch, shared_subcircuits
from circuitbase.graph.unit_edges import TraceEdges, UnitEdge, UnitPair, unit_edges
from tests.graph.placed_edges import Node, built, closed_sets, realising, small_traces, trace_edges

ENOUGH = 100_000
Drawn = list[list[tuple[Node, Node]]]


def search(traces: list[TraceEdges], *, k: int = 1, top: int = 10_000, budget: int = ENOUGH) -> SubcircuitSearch:
    return shared_subcircuits(unit_edges(traces, min_support=k), min_support=k, top=top, budget=budget)


def as_sets(found: SubcircuitSearch) -> dict[frozenset[UnitEdge], frozenset[str]]:
    return {frozenset(each.edges): frozenset(each.traces) for each in found.found}


@settings(max_examples=80, deadline=None)
@given(small_traces(), st.integers(1, 3))
def test_the_search_finds_what_trying_all_subsets_finds(drawn: Drawn, k: int) -> None:
    traces = built(drawn)
    found = search(traces, k=k)
    assert found.complete and as_sets(found) == closed_sets(traces, min_support=k)
    assert len(found.found) == len(as_sets(found))


@settings(max_examples=40, deadline=None)
@given(small_traces(n_edges=8), st.integers(1, 4))
def test_the_best_of_them_are_found_without_looking_at_all(drawn: Drawn, top: int) -> None:
    traces = built(drawn)
    every = sorted((len(edges) * len(held) for edges, held in closed_sets(traces, min_support=1).items()), reverse=True)
    best = search(traces, top=top)
    assert best.complete and [each.size * each.support for each in best.found] == every[:top]


@settings(max_examples=25, deadline=None)
@given(small_traces(n_edges=7))
def test_support_never_rises_with_size(drawn: Drawn) -> None:
    traces = built(drawn)
    for edges, held in closed_sets(traces, min_support=1).items():
        for edge in edges:
            assert held <= realising(traces, edges - {edge})


@settings(max_examples=25, deadline=None)
@given(small_traces(), st.randoms(use_true_random=False))
def test_the_order_of_traces_and_edges_does_not_matter(drawn: Drawn, mixed: random.Random) -> None:
    traces = built(drawn)
    shuffled = [_shuffled(trace, mixed) for trace in mixed.sample(traces, len(traces))]
    assert search(shuffled, top=3) == search(traces, top=3)


def test_edges_that_two_traces_hold_through_different_nodes_are_no_subcircuit() -> None:
    through_one = trace_edges("one", [(("a", 0), ("b", 1)), (("b", 1), ("c", 2))])
    through_two = trace_edges("two", [(("a", 0), ("b", 1)), (("b", 0), ("c", 2))])
    found = as_sets(search([through_one, through_two], k=2))
    assert all(len(edges) == 1 for edges in found) and len(found) == 2
    both = frozenset({UnitEdge("a", "b", 0, False), UnitEdge("b", "c", 0, False)})
    assert as_sets(search([through_one, through_two]))[both] == {"one"}


def test_a_set_that_several_placements_could_close_is_closed_by_each_alone() -> None:
    # b stands at two positions; each takes one of the two edges onward, in both traces
    edges = [(("a", 0), ("b", 1)), (("a", 0), ("b", 2)), (("b", 1), ("c", 3)), (("b", 2), ("d", 3))]
    found = as_sets(search([trace_edges("one", edges), trace_edges("two", edges)], k=2))
    into_b = UnitEdge("a", "b", 0, False)
    assert set(found) == {frozenset({into_b, UnitEdge("b", end, 0, False)}) for end in "cd"}


def test_an_edge_at_one_position_is_not_the_edge_between_two() -> None:
    same, other = trace_edges("one", [(("a", 1), ("b", 1))]), trace_edges("two", [(("a", 0), ("b", 1))])
    assert [each.support for each in search([same, other]).found] == [1, 1]
    assert search([same, other], k=2).found == ()


def test_influence_is_what_the_edges_carry_into_the_last_units() -> None:
    chain = [(("a", 0), ("b", 1)), (("b", 1), ("c", 2))]
    traces = [trace_edges("one", chain, influence=[0.5, 0.25]), trace_edges("two", chain, influence=[1.0, 0.75])]
    (found,) = search(traces, k=2).found
    assert (found.size, found.support, found.influence, found.units) == (2, 2, 0.5, ("a", "b", "c"))


def test_a_spent_budget_says_what_may_have_been_missed() -> None:
    random_edges = np.random.default_rng(0)
    traces = [
        trace_edges(
            f"trace{k:02}",
            [((s, 0), (t, 1)) for s in "abc" for t in "uvwx" if random_edges.random() < 0.7],
        )
        for k in range(12)
    ]
    short, full = (search(traces, k=2, top=5, budget=budget) for budget in (5, ENOUGH))
    assert full.complete and full.bound == 0
    assert not short.complete and short.expansions == 5
    assert short.bound >= max(each.size * each.support for each in full.found)


def test_a_planted_subcircuit_is_the_best(planted_noise: list[TraceEdges]) -> None:
    best = search(planted_noise, k=12, top=1, budget=2000).found[0]
    assert set(best.edges) >= {UnitEdge(f"p{n}", f"p{n + 1}", 0, False) for n in range(6)}
    assert best.support == 20


def test_the_sets_around_a_hub_do_not_hide_a_rarer_one_of_high_lift() -> None:
    draw = np.random.default_rng(2)
    planted = [((f"p{n}", n), (f"p{n + 1}", n + 1)) for n in range(14)]

    def trace(k: int, *, with_planted: bool) -> TraceEdges:
        hub = [((f"s{n}", n), ("hub", 20)) for n in range(14) if draw.random() < 0.9]
        return trace_edges(f"trace{k:03}", hub + (planted if with_planted else []))

    found = search([trace(k, with_planted=k % 3 == 0) for k in range(60)], k=15, top=50, budget=400).found
    background = unit_edges([trace(k, with_planted=False) for k in range(60)])
    best = max(found, key=lambda each: lift(each.support, 60, len(support(background, each.edges)), 60).value)
    assert {edge.source for edge in best.edges} == {f"p{n}" for n in range(14)} and best.support == 20


@pytest.fixture
def planted_noise() -> list[TraceEdges]:
    """Returns 40 traces of chance edges; a chain of seven units in every second, now and then at other positions."""
    draw = np.random.default_rng(1)
    chain = [((f"p{n}", n), (f"p{n + 1}", n + 1)) for n in range(6)]
    return [
        trace_edges(
            f"trace{k:02}",
            [
                *((chain[:3] + [((s, p + 1), (t, q + 1)) for (s, p), (t, q) in chain[3:]]) if k % 4 == 1 else []),
                *(chain if k % 2 == 0 else []),
                *((("n", int(s)), ("p3", int(t) + 10)) for s, t in {tuple(draw.integers(0, 9, 2)) for _ in range(9)}),
                *(((f"x{s}", 0), (f"y{t}", 1)) for s, t in {tuple(draw.integers(0, 5, 2)) for _ in range(9)}),
            ],
        )
        for k in range(40)
    ]


def test_pairs_that_are_not_wanted_and_edges_that_are_too_rare_are_left_out() -> None:
    ends = [(("a", 0), ("b", 1)), (("b", 1), ("c", 1))]
    traces = [trace_edges("one", ends), trace_edges("two", ends[:1])]
    assert unit_edges(traces, min_support=2).edges == (UnitEdge("a", "b", 0, False),)
    wanted = unit_edges(traces, wanted=[UnitPair("b", "c", 0)])
    assert wanted.edges == (UnitEdge("b", "c", 0, True),) and wanted.traces == ("one", "two")
    assert [edge.text for edge in wanted.edges] == ["b -> c; same position"]


def test_nothing_in_common_is_no_subcircuit() -> None:
    assert search([]).found == () and search([trace_edges("one", [])]).found == ()


def _shuffled(trace: TraceEdges, mixed: random.Random) -> TraceEdges:
    order = np.array(mixed.sample(range(len(trace.source)), len(trace.source)), dtype=np.int64)
    return TraceEdges(
        trace.trace_id,
        trace.unit,
        trace.position,
        trace.source[order],
        trace.target[order],
        trace.port[order],
        trace.influence[order],
    )


def test_edges_are_counted_once_per_trace() -> None:
    twice = trace_edges("one", [(("a", 0), ("b", 1)), (("a", 0), ("b", 2))])
    index = unit_edges([twice])
    assert index.n_edges == 1 and Counter(index.at_trace.tolist()) == {0: 2}
    assert search([twice]).found[0].support == 1
