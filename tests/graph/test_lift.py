from hypothesis import given, settings

from circuitbase.graph.lift import lift, support
from circuitbase.graph.unit_edges import UnitEdge, unit_edges
from tests.graph.placed_edges import Node, built, closed_sets, small_traces, trace_edges


def test_a_lift_is_a_ratio_of_shares() -> None:
    found = lift(6, 12, 2, 40)
    assert (found.value, found.corrected) == (10.0, False)


def test_a_background_without_support_is_corrected_by_a_half() -> None:
    found = lift(4, 8, 0, 9)
    assert (found.value, found.corrected) == (4.5 / 9 / (0.5 / 10), True)


@settings(max_examples=25, deadline=None)
@given(small_traces(n_edges=7))
def test_support_is_the_traces_that_realise_all_edges(drawn: list[list[tuple[Node, Node]]]) -> None:
    traces = built(drawn)
    index = unit_edges(traces)
    for edges, held in closed_sets(traces, min_support=1).items():
        assert set(support(index, sorted(edges))) == held


def test_an_edge_that_no_trace_has_is_realised_by_none() -> None:
    index = unit_edges([trace_edges("one", [(("a", 0), ("b", 1))])])
    assert support(index, [UnitEdge("a", "z", 0, False)]) == ()
    assert support(index, []) == ()
