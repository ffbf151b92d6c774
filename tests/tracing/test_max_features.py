"""A limited number of features: an exact part of the whole graph, the most influential of it."""

from dataclasses import replace

import numpy as np
import pytest

from circuitbase.schema.kinds import NodeKind
from circuitbase.store.trace_file import to_bytes
from circuitbase.tracing.options import TraceOptions
from tests.graph.edge_lists import dense_shares
from tests.tracing.cases import dense, keys
from tests.tracing.setups import WHOLE, Exact, Setup, make_setup

BATCH = 16


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Setup:
    return make_setup(tmp_path_factory.mktemp("limited") / "model", "LlamaForCausalLM", "relu-skip")


@pytest.fixture(scope="module")
def whole(setup: Setup) -> Exact:
    return setup.exact(WHOLE)


def influence_along(matrix: np.ndarray, w: np.ndarray, known: np.ndarray, total: np.ndarray) -> np.ndarray:
    """I where only some rows are known: w((1 − Â)⁻¹ − 1)."""
    share = np.abs(matrix) * known[:, None] / np.where(total > 0, total, 1)[:, None]
    identity = np.eye(len(w))
    return w @ (np.linalg.inv(identity - share) - identity)


def chosen_by_hand(whole: Exact, count: int) -> np.ndarray:
    """The nodes that stay, by the rule: rank by what is known, trace a batch, rank again."""
    nodes, matrix = whole.nodes, whole.matrix()
    total = np.abs(matrix).sum(1)
    is_feature = nodes.kind == NodeKind.FEATURE
    known = np.isin(np.arange(len(nodes)), nodes.outputs)
    while count > 0 and (is_feature & ~known).any():
        influence = influence_along(matrix, nodes.weight, known, total)
        candidates = np.flatnonzero(is_feature & ~known)
        ranked = sorted(candidates.tolist(), key=lambda node: (-influence[node], node))[: min(BATCH, count)]
        known[ranked] = True
        count -= len(ranked)
    return known | ~is_feature


@pytest.mark.parametrize("count", [1, 9, 16, 25, 40])
def test_the_graph_is_the_part_of_the_whole_one_with_the_most_influential_features(
    setup: Setup, whole: Exact, count: int
) -> None:
    found = setup.exact(replace(WHOLE, max_features=count))
    kept = chosen_by_hand(whole, count)
    assert np.array_equal(found.assembled.kept_nodes, kept)
    assert keys(found.graph) == [key for key, stays in zip(keys(whole.graph), kept, strict=True) if stays]
    assert (found.graph.node_kind == NodeKind.FEATURE).sum() == count
    full = whole.matrix()[np.ix_(kept, kept)]
    np.testing.assert_allclose(found.matrix(), full, rtol=1e-9, atol=1e-12 * np.abs(full).max())
    assert np.array_equal(found.matrix() != 0, full != 0)
    for name in ("node_preactivation", "node_bias_effect", "node_absolute_input", "node_activation"):
        np.testing.assert_allclose(getattr(found.graph, name), getattr(whole.graph, name)[kept], rtol=1e-6)
    lost = whole.matrix()[kept].sum(1) - full.sum(1)
    is_target = np.isfinite(found.graph.node_rest)
    np.testing.assert_allclose(found.graph.node_rest[is_target], lost[is_target], atol=1e-6 * np.abs(full).max())
    assert found.assembled.scores.account_violation <= 1e-11
    assert found.assembled.scores.stored_account_violation <= 1e-6
    assert found.assembled.counts.nodes == kept.sum()
    assert found.assembled.counts.edges == np.count_nonzero(full) == found.graph.n_edges
    assert np.array_equal(found.graph.active_unit, whole.graph.active_unit)


@pytest.mark.parametrize("count", [9, 25])
def test_scores_take_the_error_share_of_a_row_before_anything_was_dropped(
    setup: Setup, whole: Exact, count: int
) -> None:
    found = setup.exact(replace(WHOLE, max_features=count))
    kept, matrix, w = found.assembled.kept_nodes, np.abs(whole.matrix()), whole.nodes.weight
    total = matrix.sum(1)
    inside = matrix * kept[:, None] * kept[None, :]
    influence = influence_along(inside, w, kept, total)
    kind = whole.nodes.kind
    error_share = (matrix * (kind == NodeKind.LAYER_ERROR)).sum(1) / np.where(total > 0, total, 1)
    tokens, errors = (influence[kind == each].sum() for each in (NodeKind.INPUT_TOKEN, NodeKind.LAYER_ERROR))
    scores = found.assembled.scores
    assert scores.replacement == pytest.approx(tokens / (tokens + errors), rel=1e-9)
    completeness = ((1 - error_share) * (influence + w)).sum() / (influence + w).sum()
    assert scores.completeness == pytest.approx(completeness, rel=1e-9)
    np.testing.assert_allclose(found.graph.node_influence, influence[kept], rtol=1e-6)


@pytest.mark.parametrize("prune", [True, False])
def test_as_many_features_as_there_are_give_the_whole_graph(setup: Setup, prune: bool) -> None:
    options = replace(WHOLE, prune=prune)
    whole = setup.trace(options)
    n_features = len(whole.graph.active_unit)
    for count in (n_features, n_features + 100):
        found = setup.trace(replace(options, max_features=count))
        assert keys(found.graph) == keys(whole.graph)
        np.testing.assert_allclose(dense(found.graph), dense(whole.graph), rtol=1e-6, atol=1e-9)
        assert found.metadata.counts == whole.metadata.counts
        assert found.metadata.scores.kept_mass == pytest.approx(1.0, abs=1e-12)
        assert found.metadata.scores.replacement == pytest.approx(whole.metadata.scores.replacement, rel=1e-9)
        assert found.metadata.scores.completeness == pytest.approx(whole.metadata.scores.completeness, rel=1e-9)


def test_silent_features_are_traced_beside_the_limited_ones(setup: Setup) -> None:
    plain = setup.exact(replace(WHOLE, max_features=9))
    found = setup.exact(replace(WHOLE, max_features=9, silent=((1, 0), (2, 7))))
    silent = found.graph.node_silent.astype(bool)
    assert silent.any()
    assert set(keys(plain.graph)) <= set(keys(found.graph))
    # an asked feature that fires is like any other
    assert sum(~silent & (found.graph.node_kind == NodeKind.FEATURE)) == 9
    assert np.isfinite(found.graph.node_preactivation[silent]).all()


@pytest.mark.parametrize("keep_mass", [0.5, 0.9])
def test_with_keep_mass_too_every_account_closes_and_edges_are_those_of_the_whole_graph(
    setup: Setup, whole: Exact, keep_mass: float
) -> None:
    found = setup.exact(replace(WHOLE, max_features=20, keep_mass=keep_mass))
    kept = found.assembled.kept_nodes
    full, part = whole.matrix()[np.ix_(kept, kept)], found.matrix()
    np.testing.assert_allclose(part[part != 0], full[part != 0], rtol=1e-9)
    assert 0 < np.count_nonzero(part) < np.count_nonzero(full)
    assert found.assembled.scores.account_violation <= 1e-11
    assert found.assembled.scores.stored_account_violation <= 1e-6
    assert found.assembled.scores.kept_mass < 1


def test_the_same_features_are_chosen_every_time(setup: Setup, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("single") / "model"
    options = TraceOptions(max_features=21, prune=False)
    first = to_bytes(make_setup(folder, "LlamaForCausalLM", dtype="float32").trace(options))
    again = make_setup(folder, "LlamaForCausalLM", dtype="float32")
    again.trace(options, tokens=(0, 3, 3, 9))
    assert to_bytes(again.trace(options)) == first


def test_features_without_in_edges_are_limited_too(tmp_path_factory: pytest.TempPathFactory) -> None:
    setup = make_setup(tmp_path_factory.mktemp("sae") / "model", "GPT2LMHeadModel", "mlp-sae")
    whole, found = setup.exact(WHOLE), setup.exact(replace(WHOLE, max_features=7))
    is_feature = whole.nodes.kind == NodeKind.FEATURE
    influence = whole.nodes.weight @ dense_shares(np.abs(whole.matrix()))
    ranked = sorted(np.flatnonzero(is_feature).tolist(), key=lambda node: (-influence[node], node))[:7]
    assert np.flatnonzero(found.assembled.kept_nodes & is_feature).tolist() == sorted(ranked)
    assert found.assembled.scores.account_violation <= 1e-11
