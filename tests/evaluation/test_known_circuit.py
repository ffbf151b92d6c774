"""How scores are held against a known circuit: by hand, and against the definitions written out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from circuitbase.errors import InputError
from circuitbase.evaluation.known_circuit import (
    Curve,
    GridSize,
    InUniverse,
    auroc,
    average_precision,
    faithfulness,
    grid_sizes,
    in_universe,
)


@st.composite
def universes(draw: st.DrawFn) -> InUniverse:
    scores = draw(st.lists(st.sampled_from((-1.0, 0.0, 0.25, 0.5, 2.0, 1e-27)), min_size=2, max_size=12))
    inside = draw(st.lists(st.booleans(), min_size=len(scores), max_size=len(scores)))
    inside[0], inside[1] = True, False
    return InUniverse(np.array(scores), np.array(inside))


@given(universes())
@settings(deadline=None)
def test_auroc_is_the_chance_that_an_edge_inside_scores_higher(edges: InUniverse) -> None:
    wins = [
        1.0 if inner > outer else 0.5 if inner == outer else 0.0
        for inner in edges.score[edges.inside]
        for outer in edges.score[~edges.inside]
    ]
    assert auroc(edges) == pytest.approx(sum(wins) / len(wins))


@given(universes())
@settings(deadline=None)
def test_average_precision_sums_precision_over_gains_in_recall(edges: InUniverse) -> None:
    total, before = 0.0, 0.0
    for threshold in sorted(set(edges.score), reverse=True):
        taken = edges.score >= threshold
        recall = (taken & edges.inside).sum() / edges.inside.sum()
        total += (recall - before) * (taken & edges.inside).sum() / taken.sum()
        before = recall
    assert average_precision(edges) == pytest.approx(total)


def test_four_edges_by_hand() -> None:
    # from the top: in, out, in, out
    edges = InUniverse(np.array([4.0, 3.0, 2.0, 1.0]), np.array([True, False, True, False]))
    assert auroc(edges) == 0.75
    assert average_precision(edges) == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)


def test_equal_scores_for_all_are_chance() -> None:
    edges = InUniverse(np.zeros(4), np.array([True, False, False, False]))
    assert auroc(edges) == 0.5
    assert average_precision(edges) == 0.25


def test_the_tiniest_true_score_above_zero_is_found() -> None:
    edges = InUniverse(np.array([1.0, 1e-27, 0.0, 0.0]), np.array([True, True, False, False]))
    assert auroc(edges) == average_precision(edges) == 1.0


def test_an_edge_without_a_score_is_an_error() -> None:
    with pytest.raises(InputError, match=r"1 have none \(input->m0\)"):
        in_universe({"input->logits": 1.0}, ["input->m0"], ["input->m0", "input->logits"])


def test_a_name_outside_the_universe_is_an_error() -> None:
    with pytest.raises(InputError, match=r"1 names are no edges \(m0->m0\)"):
        in_universe({"input->m0": 1.0, "m0->m0": 1.0}, ["input->m0"], ["input->m0"])


@pytest.mark.parametrize("true_edges", [[], ["a", "b"]])
def test_a_circuit_of_none_or_all_edges_is_an_error(true_edges: list[str]) -> None:
    with pytest.raises(InputError, match="some but not all of 2 edges"):
        in_universe({"a": 1.0, "b": 0.0}, true_edges, ["a", "b"])


def test_a_score_that_is_no_number_is_an_error() -> None:
    with pytest.raises(InputError, match="the score of b should be a number"):
        in_universe({"a": 1.0, "b": float("nan")}, ["a"], ["a", "b"])


def test_faithfulness_of_one_at_every_size_gives_almost_one_and_zero() -> None:
    sizes = grid_sizes(32_491)
    assert [size.edges for size in sizes] == [32, 64, 162, 324, 649, 1624, 3249, 6498, 16245, 32491]
    curve = Curve(np.array([size.share for size in sizes]), np.ones(len(sizes)))
    assert curve.cpr == pytest.approx(0.999)
    assert curve.cmd == 0.0


def test_small_models_are_measured_at_counts_of_edges() -> None:
    sizes = grid_sizes(14)
    assert [size.edges for size in sizes] == [1, 2, 3, 5, 7, 10, 14]
    assert sizes[0] == GridSize(1 / 14, 1)
    assert sizes[-1].share == 1.0


@given(st.integers(1, 3000))
def test_sizes_grow_up_to_all_edges(n_edges: int) -> None:
    sizes = [size.edges for size in grid_sizes(n_edges)]
    assert sizes == sorted(set(sizes))
    assert sizes[0] >= 1
    assert sizes[-1] == n_edges


@given(st.lists(st.floats(-3, 3), min_size=2, max_size=8))
@settings(deadline=None)
def test_areas_are_sums_of_trapezoids(values: list[float]) -> None:
    share = np.linspace(0.1, 1.0, len(values))
    curve = Curve(share, np.array(values))
    places = range(len(values) - 1)
    widths = [share[place + 1] - share[place] for place in places]
    cpr = sum(w * (values[p] + values[p + 1]) / 2 for w, p in zip(widths, places, strict=True))
    cmd = sum(w * (abs(1 - values[p]) + abs(1 - values[p + 1])) / 2 for w, p in zip(widths, places, strict=True))
    assert curve.cpr == pytest.approx(cpr)
    assert curve.cmd == pytest.approx(cmd)


def test_faithfulness_is_a_ratio_of_means_over_prompts() -> None:
    circuit, full, empty = np.array([1.0, 3.0]), np.array([2.0, 4.0]), np.array([0.0, 0.5])
    assert faithfulness(circuit, full, empty) == pytest.approx((2.0 - 0.25) / (3.0 - 0.25))


def test_no_faithfulness_where_full_and_ablated_do_not_differ() -> None:
    with pytest.raises(InputError, match="give pairs whose answers differ"):
        faithfulness(np.zeros(2), np.array([1.0, -1.0]), np.array([-1.0, 1.0]))
