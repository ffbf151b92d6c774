"""Features traced where they do not fire."""

from dataclasses import replace

import numpy as np
import pytest

from circuitbase.errors import InputError
from circuitbase.schema.kinds import NodeKind
from circuitbase.store.trace_file import from_bytes, to_bytes
from circuitbase.tracing.options import TraceOptions
from tests.tracing.cases import keys
from tests.tracing.dictionary_kinds import KINDS
from tests.tracing.setups import TOKENS, WHOLE, Exact, Setup, make_setup

ASKED = ((0, 3), (1, 0), (1, 5), (2, 11))
READING = ("jumprelu", "relu-skip", "topk", "cross-layer", "head-value-sae")


@pytest.fixture(scope="module", params=READING)
def setup(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Setup:
    return make_setup(tmp_path_factory.mktemp("silent") / "model", "MistralForCausalLM", request.param)


@pytest.fixture(scope="module")
def traced(setup: Setup) -> Exact:
    return setup.exact(replace(WHOLE, silent=ASKED))


def active_places(found: Exact) -> set[tuple[int, int, int]]:
    graph = found.graph
    columns = (graph.active_layer, graph.active_position, graph.active_unit)
    return {tuple(map(int, row)) for row in zip(*columns, strict=True)}  # type: ignore[misc]


def test_the_asked_features_are_silent_nodes_where_they_do_not_fire(traced: Exact) -> None:
    places = {(layer, position, unit) for layer, unit in ASKED for position in range(1, len(TOKENS))}
    expected = places - active_places(traced)
    silent = traced.graph.node_silent.astype(bool)
    found = {key[1:] for key, is_silent in zip(keys(traced.graph), silent, strict=True) if is_silent}
    assert found == expected
    assert (traced.graph.node_kind[silent] == NodeKind.FEATURE).all()
    assert not traced.graph.node_activation[silent].any()
    assert not traced.graph.node_influence[silent].any()


def test_edges_and_accounts_are_those_of_the_independent_frozen_model(setup: Setup, traced: Exact) -> None:
    reference = setup.reference()
    expected, bias = reference.edges(traced.graph), reference.bias_effects(traced.graph)
    assert np.abs(traced.matrix() - expected).max() <= 1e-10 * np.abs(expected).max()
    targets = np.isfinite(traced.graph.node_preactivation)
    silent = traced.graph.node_silent.astype(bool)
    assert targets[silent].all()
    assert np.abs(traced.of_stored(traced.rows.bias_effect) - bias)[targets].max() <= 1e-10
    clean = reference.clean_target_reads(traced.graph)
    assert np.abs(traced.of_stored(traced.nodes.preactivation) - clean)[targets].max() <= 1e-10
    assert traced.assembled.scores.account_violation <= 1e-11


def test_the_margin_is_the_threshold_less_the_preactivation_with_its_bias(setup: Setup, traced: Exact) -> None:
    graph, silent = traced.graph, traced.graph.node_silent.astype(bool)
    assert np.isnan(graph.node_margin[~silent]).all()
    if setup.kind == "topk":
        assert np.isnan(graph.node_margin[silent]).all()
        return
    clean = setup.reference().clean_target_reads(graph)
    for node in np.flatnonzero(silent):
        weights, unit = setup.layers[graph.node_layer[node]], graph.node_unit[node]
        threshold = float(weights["threshold"][unit]) if "threshold" in weights else 0.0
        expected = threshold - (clean[node] + float(weights["b_enc"][unit]))
        assert graph.node_margin[node] == pytest.approx(expected, rel=1e-6, abs=1e-7)
        assert graph.node_margin[node] >= 0


def test_they_write_nothing_and_change_nothing_else(setup: Setup, traced: Exact) -> None:
    plain, silent = setup.exact(WHOLE), traced.graph.node_silent.astype(bool)
    matrix = traced.matrix()
    assert not matrix[:, silent].any()
    np.testing.assert_allclose(matrix[np.ix_(~silent, ~silent)], plain.matrix(), rtol=1e-9, atol=1e-12)
    assert keys(plain.graph) == [key for key, each in zip(keys(traced.graph), silent, strict=True) if not each]
    np.testing.assert_allclose(traced.graph.node_influence[~silent], plain.graph.node_influence, rtol=1e-6)
    for name in ("replacement", "completeness"):
        found, expected = getattr(traced.assembled.scores, name), getattr(plain.assembled.scores, name)
        assert found == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("limits", [{}, {"max_features": 10}, {"keep_mass": 0.8}])
def test_they_survive_pruning_with_edges_from_what_is_kept(
    setup: Setup, traced: Exact, limits: dict[str, float]
) -> None:
    options = replace(WHOLE, silent=ASKED, prune=True, node_threshold=0.5, edge_threshold=0.5, **limits)  # type: ignore[arg-type]
    found = setup.trace(options)
    graph, silent = found.graph, found.graph.node_silent.astype(bool)
    expected = [key for key, each in zip(keys(traced.graph), traced.graph.node_silent, strict=True) if each]
    assert [key for key, each in zip(keys(graph), silent, strict=True) if each] == expected
    # every token acts on them, and tokens stay; of a row that was cut before, all that is left may lead from others
    assert "keep_mass" in limits or np.isin(np.flatnonzero(silent), graph.edge_target).all()
    assert not np.isin(np.flatnonzero(silent), graph.edge_source).any()
    assert found.metadata.scores.account_violation <= 1e-11
    assert found.metadata.scores.stored_account_violation <= 1e-6
    assert from_bytes(to_bytes(found), name="trace").metadata == found.metadata


def test_a_position_without_nodes_has_no_silent_ones(setup: Setup) -> None:
    graph = setup.exact(replace(WHOLE, silent=ASKED), without=(3,)).graph
    assert not np.isin(graph.node_position[graph.node_silent.astype(bool)], (0, 3)).any()


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Setup:
    return make_setup(tmp_path_factory.mktemp("single") / "model", "GPT2LMHeadModel", dtype="float32")


@pytest.mark.parametrize(
    ("silent", "sentence"),
    [
        ((3, 0), "the layer of a feature must be 0 to 2, got 3"),
        ((-1, 0), "the layer of a feature must be 0 to 2, got -1"),
        ((1, 12), "a feature of layer 1 must be 0 to 11, got 12"),
        ((1, -1), "a feature of layer 1 must be 0 to 11, got -1"),
    ],
)
def test_a_feature_that_the_dictionary_lacks_is_refused(single: Setup, silent: tuple[int, int], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        single.trace(TraceOptions(silent=(silent,)))


def test_a_dictionary_without_in_edges_has_no_silent_features(tmp_path_factory: pytest.TempPathFactory) -> None:
    setup = make_setup(tmp_path_factory.mktemp("sae") / "model", "GPT2LMHeadModel", "mlp-sae")
    with pytest.raises(InputError, match="silent features need a dictionary whose features have in-edges"):
        setup.trace(replace(WHOLE, silent=((0, 1),)))
    assert {"mlp-sae", *READING} <= set(KINDS)
