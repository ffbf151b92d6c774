import networkx as nx
import numpy as np
import pytest
from hypothesis import given

from circuitbase.errors import InputError
from circuitbase.graph.influence import absolute_input, edge_influence, input_share, node_influence
from tests.graph.edge_lists import HAND, HAND_INFLUENCE, EdgeList, dense_influence, edge_lists
from tests.synthetic import output_weight, synthetic_trace


def shares(graph: EdgeList) -> np.ndarray:
    total = absolute_input(graph.target, graph.weight, n_nodes=graph.n_nodes)
    return input_share(graph.target, graph.weight, total)


def influence(graph: EdgeList) -> np.ndarray:
    return node_influence(graph.source, graph.target, shares(graph), graph.w)


def test_shares_divide_by_the_magnitude_of_all_inputs() -> None:
    target, weight = np.array([2, 2, 3]), np.array([-1.0, 3.0, 0.5])
    total = absolute_input(target, weight, n_nodes=4)
    np.testing.assert_array_equal(total, [0, 0, 4, 0.5])
    np.testing.assert_array_equal(input_share(target, weight, total), [0.25, 0.75, 1])


def test_shares_over_a_larger_graph_sum_to_less_than_one() -> None:
    target, weight = np.array([1, 1]), np.array([1.0, -1.0])
    np.testing.assert_array_equal(input_share(target, weight, np.array([0.0, 8.0])), [0.125, 0.125])


def test_an_edge_of_weight_zero_has_share_zero_even_if_its_target_has_no_input() -> None:
    target, weight = np.array([1]), np.array([0.0])
    np.testing.assert_array_equal(input_share(target, weight, np.zeros(2)), [0.0])


def test_influence_of_the_twelve_nodes_computed_by_hand() -> None:
    np.testing.assert_allclose(influence(HAND), HAND_INFLUENCE, atol=1e-15)


def test_influence_splits_by_input_magnitude_along_a_chain() -> None:
    # 0 -> 2 (1), 1 -> 2 (-3), 2 -> 3 (any): the output's whole influence goes to 2, a quarter of it to 0
    source, target = np.array([0, 1, 2]), np.array([2, 2, 3])
    share = input_share(target, np.array([1.0, -3.0, -7.0]), np.array([0.0, 0.0, 4.0, 7.0]))
    found = node_influence(source, target, share, np.array([0.0, 0.0, 0.0, 0.5]))
    np.testing.assert_array_equal(found, [0.125, 0.375, 0.5, 0.0])


def test_edges_between_the_same_nodes_through_different_ports_add_up() -> None:
    source, target = np.array([0, 0, 1]), np.array([2, 2, 2])
    share = input_share(target, np.array([1.0, 1.0, 2.0]), np.array([0.0, 0.0, 4.0]))
    np.testing.assert_array_equal(node_influence(source, target, share, np.array([0.0, 0.0, 1.0])), [0.5, 0.5, 0.0])


def test_a_graph_without_edges_or_without_nodes_has_no_influence() -> None:
    none, empty = np.array([], dtype=np.int64), np.array([])
    np.testing.assert_array_equal(node_influence(none, none, empty, np.array([0.0, 1.0])), [0, 0])
    assert len(node_influence(none, none, empty, empty)) == 0


def test_a_cycle_is_refused() -> None:
    source, target = np.array([0, 1, 1]), np.array([1, 0, 2])
    with pytest.raises(InputError, match="must have no cycle"):
        node_influence(source, target, np.ones(3), np.array([0.0, 0.0, 1.0]))


def test_the_longest_possible_path_is_followed_to_its_end() -> None:
    n = 50
    found = node_influence(np.arange(n - 1), np.arange(1, n), np.ones(n - 1), np.eye(n)[-1])
    np.testing.assert_array_equal(found, [1.0] * (n - 1) + [0.0])


@given(edge_lists(max_layers=2))
def test_influence_is_the_sum_over_all_walks_as_networkx_lists_them(graph: EdgeList) -> None:
    share = shares(graph)
    view = nx.DiGraph()
    view.add_nodes_from(range(graph.n_nodes))
    for source, target, value in zip(graph.source, graph.target, share, strict=True):
        view.add_edge(int(source), int(target), share=float(value))
    outputs = [int(node) for node in np.flatnonzero(graph.w)]
    expected = [
        sum(
            graph.w[path[-1][1]] * np.prod([view.edges[edge]["share"] for edge in path])
            for path in nx.all_simple_edge_paths(view, node, outputs)
            if path
        )
        for node in range(graph.n_nodes)
    ]
    np.testing.assert_allclose(influence(graph), expected, atol=1e-13)


@given(edge_lists())
def test_influence_equals_the_closed_form(graph: EdgeList) -> None:
    np.testing.assert_allclose(influence(graph), dense_influence(graph.magnitude(), graph.w), atol=1e-13)


@given(edge_lists())
def test_influence_of_nodes_without_input_and_outputs_without_input_sums_to_all_output_weight(graph: EdgeList) -> None:
    without_input = np.bincount(graph.target, minlength=graph.n_nodes) == 0
    reached = influence(graph)[without_input].sum() + graph.w[without_input].sum()
    assert reached == pytest.approx(graph.w.sum(), abs=1e-13)


@given(edge_lists())
def test_edge_influences_sum_to_the_influence_of_their_source(graph: EdgeList) -> None:
    through = edge_influence(graph.target, shares(graph), graph.w, influence(graph))
    summed = np.bincount(graph.source, weights=through, minlength=graph.n_nodes)
    np.testing.assert_allclose(summed, influence(graph), atol=1e-14)


@given(edge_lists())
def test_scaling_all_inputs_of_a_target_changes_no_influence(graph: EdgeList) -> None:
    scale = 2.0 ** np.arange(graph.n_nodes)
    rescaled = EdgeList(graph.kind, graph.source, graph.target, graph.weight * scale[graph.target], graph.w)
    np.testing.assert_array_equal(influence(rescaled), influence(graph))


def test_lost_inputs_lower_influence_by_at_most_the_lost_share() -> None:
    trace = synthetic_trace(3).graph
    n_nodes, w = trace.n_nodes, output_weight(synthetic_trace(3))
    full = absolute_input(trace.edge_target, trace.edge_weight, n_nodes=n_nodes)
    total = np.where(np.isnan(trace.node_absolute_input), 0, trace.node_absolute_input)
    by_total = node_influence(
        trace.edge_source, trace.edge_target, input_share(trace.edge_target, trace.edge_weight, total), w
    )
    by_stored = node_influence(
        trace.edge_source, trace.edge_target, input_share(trace.edge_target, trace.edge_weight, full), w
    )
    assert (by_total <= by_stored + 1e-12).all()
    np.testing.assert_allclose(by_total, trace.node_influence, rtol=1e-5)
