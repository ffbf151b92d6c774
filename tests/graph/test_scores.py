import numpy as np
import pytest
from hypothesis import given

from circuitbase.graph.influence import absolute_input, input_share, node_influence
from circuitbase.graph.scores import completeness_score, graph_scores, replacement_score
from circuitbase.schema.kinds import NodeKind
from tests.graph.edge_lists import HAND, EdgeList, edge_lists


def influence(graph: EdgeList) -> np.ndarray:
    total = absolute_input(graph.target, graph.weight, n_nodes=graph.n_nodes)
    return node_influence(graph.source, graph.target, input_share(graph.target, graph.weight, total), graph.w)


def test_scores_of_the_twelve_nodes_computed_by_hand() -> None:
    # tokens 9 and 10: 1/4 + 1/6; errors 6 and 8: 1/3 + 1/4; all influence: 5/3
    scores = graph_scores(*HAND.columns)
    assert scores.replacement == pytest.approx((5 / 12) / (5 / 12 + 7 / 12))
    assert scores.completeness == pytest.approx(1 - (7 / 12) / (5 / 3 + 1))


def test_a_feature_whose_input_is_half_error_counts_half() -> None:
    # token 0 and error 1 -> feature 2 -> output 3; importance: 2 has 1, 3 has 1, 0 and 1 have 1/2
    graph = EdgeList(
        kind=np.array([0, 2, 1, 3], dtype=np.uint8),
        source=np.array([0, 1, 2]),
        target=np.array([2, 2, 3]),
        weight=np.array([1.0, -1.0, 5.0]),
        w=np.eye(4)[3],
    )
    scores = graph_scores(*graph.columns)
    assert scores.replacement == 0.5
    assert scores.completeness == (0.5 + 0.5 + 0.5 + 1) / 3


def test_errors_lost_before_pruning_leave_the_rest_of_the_row_explained() -> None:
    graph = EdgeList(
        kind=np.array([0, 2, 3], dtype=np.uint8),
        source=np.array([0, 1]),
        target=np.array([2, 2]),
        weight=np.array([1.0, 1.0]),
        w=np.eye(3)[2],
    )
    assert graph_scores(*graph.columns).completeness == 1 - 0.5 / 2
    with_rest = graph_scores(*graph.columns, total=np.array([0.0, 0.0, 4.0]))
    assert with_rest.completeness == (0.25 + 0.25 + 0.75) / 1.5


def test_no_influence_at_all_counts_as_fully_explained() -> None:
    assert replacement_score(np.array([0, 2, 3], dtype=np.uint8), np.zeros(3)) == 1.0
    assert completeness_score(np.zeros(2), np.zeros(2), np.zeros(2)) == 1.0


@given(edge_lists(errors=False))
def test_without_errors_both_scores_are_one(graph: EdgeList) -> None:
    scores = graph_scores(*graph.columns)
    assert (scores.replacement, scores.completeness) == (1.0, 1.0)


@given(edge_lists())
def test_completeness_is_one_less_the_errors_part_of_all_influence(graph: EdgeList) -> None:
    found = influence(graph)
    errors = found[graph.kind == NodeKind.LAYER_ERROR].sum()
    expected = 1 - errors / (found.sum() + graph.w.sum())
    assert graph_scores(*graph.columns).completeness == pytest.approx(expected, abs=1e-12)


@given(edge_lists())
def test_scores_lie_between_zero_and_one(graph: EdgeList) -> None:
    scores = graph_scores(*graph.columns)
    assert 0 <= scores.replacement <= 1
    assert 0 <= scores.completeness <= 1
