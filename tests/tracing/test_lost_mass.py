"""Rows of which the largest edges are kept, up to a share: what they lose is known."""

from dataclasses import replace

import numpy as np
import pytest

from circuitbase.schema.kinds import NodeKind
from circuitbase.store.trace_file import to_bytes
from circuitbase.tracing.options import TraceOptions
from tests.tracing.cases import dense, keys
from tests.tracing.dictionary_kinds import dictionary
from tests.tracing.setups import WHOLE, Exact, Setup, make_setup

SHARES = [0.3, 0.7, 0.9, 0.98]


@pytest.fixture(scope="module", params=["jumprelu", "cross-layer", "attention-sae"])
def setup(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Setup:
    return make_setup(tmp_path_factory.mktemp("lost") / "model", "GPT2LMHeadModel", request.param)


@pytest.fixture(scope="module")
def whole(setup: Setup) -> Exact:
    return setup.exact(WHOLE)


@pytest.mark.parametrize("share", SHARES)
def test_every_target_keeps_the_fewest_edges_that_make_up_the_share(setup: Setup, whole: Exact, share: float) -> None:
    found = setup.exact(replace(WHOLE, keep_mass=share))
    assert keys(found.graph) == keys(whole.graph)
    part, full = found.matrix(), whole.matrix()
    np.testing.assert_allclose(part[part != 0], full[part != 0], rtol=1e-12)
    for kept, row in zip(np.abs(part), np.abs(full), strict=True):
        assert kept.sum() >= share * row.sum() * (1 - 1e-12)
        if row.any():
            assert kept.sum() - kept[kept > 0].min() < share * row.sum()
            assert row[kept == 0].max(initial=0.0) <= kept[kept > 0].min()
    np.testing.assert_allclose(found.graph.node_absolute_input, whole.graph.node_absolute_input, rtol=1e-6)
    is_target = np.isfinite(found.graph.node_rest)
    expected = full.sum(1) - part.sum(1)
    np.testing.assert_allclose(found.graph.node_rest[is_target], expected[is_target], atol=1e-6 * np.abs(full).max())


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("prune", [True, False])
def test_the_account_still_closes(setup: Setup, share: float, prune: bool) -> None:
    scores = setup.trace(replace(WHOLE, keep_mass=share, prune=prune)).metadata.scores
    assert scores.account_violation <= 1e-11
    assert scores.stored_account_violation <= 1e-6


@pytest.mark.parametrize("limits", [*({"keep_mass": share} for share in SHARES), {"max_features": 20}])
def test_scores_are_wrong_by_at_most_the_lost_mass(setup: Setup, whole: Exact, limits: dict[str, float]) -> None:
    found, exact = setup.exact(replace(WHOLE, **limits)).assembled.scores, whole.assembled.scores
    lost = 1 - found.kept_mass
    assert 0 < lost < 1
    assert abs(found.replacement - exact.replacement) <= lost
    assert abs(found.completeness - exact.completeness) <= lost


@pytest.mark.parametrize("limits", [{"keep_mass": 0.7}, {"max_features": 5}, {"max_features": 20}])
def test_lost_mass_is_that_of_influence_and_no_influence_is_wrong_by_more(
    setup: Setup, whole: Exact, limits: dict[str, float]
) -> None:
    found = setup.exact(replace(WHOLE, **limits))
    kind, w = found.graph.node_kind, whole.nodes.weight.sum()
    ends = np.isin(kind, (NodeKind.INPUT_TOKEN, NodeKind.LAYER_ERROR, NodeKind.MLP))
    kept = found.assembled.scores.kept_mass
    assert found.graph.node_influence[ends].sum() / w == pytest.approx(kept, rel=1e-5)
    exact = whole.graph.node_influence[found.assembled.kept_nodes]
    assert (exact - found.graph.node_influence).max() <= (1 - kept) * w + 1e-6


@pytest.mark.parametrize("limits", [{"keep_mass": 0.7}, {"max_features": 20}])
def test_scaling_features_changes_no_lost_mass(setup: Setup, limits: dict[str, float]) -> None:
    first = dict(setup.layers[0])
    first |= {name: 1000 * first[name] for name in ("W_enc", "b_enc", "threshold")} | {"W_dec": first["W_dec"] / 1000}
    layers = [first, *setup.layers[1:]]
    scaled = dictionary(setup.kind, layers, setup.reads, setup.writes, model=setup.model, dtype="float64")
    found = replace(setup, layers=layers, dictionary=scaled).exact(replace(WHOLE, **limits))
    plain = setup.exact(replace(WHOLE, **limits))
    assert found.assembled.scores.kept_mass == pytest.approx(plain.assembled.scores.kept_mass, rel=1e-9)


def test_a_pruned_graph_with_kept_mass_is_a_part_of_the_whole_one(setup: Setup, whole: Exact) -> None:
    found = setup.trace(replace(WHOLE, keep_mass=0.9, prune=True)).graph
    place = {key: index for index, key in enumerate(keys(whole.graph))}
    rows = [place[key] for key in keys(found)]
    inside, part = whole.matrix()[np.ix_(rows, rows)], dense(found)
    np.testing.assert_allclose(part[part != 0], inside[part != 0], rtol=1e-6)


def test_the_same_edges_are_kept_every_time(tmp_path_factory: pytest.TempPathFactory) -> None:
    setup = make_setup(tmp_path_factory.mktemp("single") / "model", "GPT2LMHeadModel", dtype="float32")
    options = TraceOptions(keep_mass=0.9, prune=False)
    first = to_bytes(setup.trace(options))
    setup.trace(options, tokens=(0, 7, 8))
    assert to_bytes(setup.trace(options)) == first
