"""Circuits: selected by score, found by ACDC, run with everything else ablated."""

from pathlib import Path

import numpy as np
import pytest

from circuitbase.errors import InputError
from circuitbase.tracing.components.ablations import ablation
from circuitbase.tracing.components.component_graph import ComponentGraph
from circuitbase.tracing.components.component_model import ComponentModel
from circuitbase.tracing.components.pairs import Pair
from circuitbase.tracing.patching.acdc import acdc
from circuitbase.tracing.patching.circuit_evaluation import bounds, curve, evaluated
from circuitbase.tracing.patching.circuit_prompts import CircuitPrompts, circuit_metrics, circuit_prompts
from circuitbase.tracing.patching.circuit_selection import (
    edges_above,
    greedy_edges,
    inputs_of,
    live_edges,
    source_of,
    top_edges,
)
from circuitbase.tracing.patching.paired import ends
from tests.tracing.patching.gates import BOTH_ON, gate
from tests.tracing.patching.prepared import ARCHITECTURES, prepared, random_pairs, tiny_components

GRAPH = ComponentGraph(n_layers=2, n_heads=2)


def scores(**named: float) -> np.ndarray:
    found = np.zeros(GRAPH.edges.shape)
    for name, score in named.items():
        found[GRAPH.edge(name)] = score
    return found


def names(graph: ComponentGraph, kept: np.ndarray) -> list[str]:
    return [name for name in graph.edge_names() if kept[graph.edge(name)]]


def batches(model: ComponentModel, pairs: list[Pair], name: str = "patching") -> list[CircuitPrompts]:
    kind = ablation(model, name, over=[pair.clean for pair in pairs])  # type: ignore[arg-type]
    return circuit_prompts(model, pairs, kind, metric="logit-difference", batch_size=2)


CHAIN = scores(
    **{"input->a0.h1<v>": 0.2, "a0.h1->a1.h0<k>": 0.5, "a1.h0->logits": 0.3, "input->m1": 2.0, "m0->m1": -3.0}
)


def test_top_edges_are_by_score_or_by_its_size() -> None:
    assert names(GRAPH, top_edges(GRAPH, CHAIN, n=2, absolute=False)) == ["input->m1", "a0.h1->a1.h0<k>"]
    assert names(GRAPH, top_edges(GRAPH, CHAIN, n=2, absolute=True)) == ["input->m1", "m0->m1"]
    assert top_edges(GRAPH, CHAIN, n=GRAPH.n_edges, absolute=False).sum() == GRAPH.n_edges
    assert not top_edges(GRAPH, CHAIN, n=0, absolute=False).any()
    with pytest.raises(InputError, match=f"0 to {GRAPH.n_edges} edges, got 99"):
        top_edges(GRAPH, CHAIN, n=99, absolute=True)


def test_a_threshold_is_reached_by_equal_scores() -> None:
    assert names(GRAPH, edges_above(GRAPH, CHAIN, threshold=0.5, absolute=False)) == ["input->m1", "a0.h1->a1.h0<k>"]
    assert len(names(GRAPH, edges_above(GRAPH, CHAIN, threshold=0.5, absolute=True))) == 3


def test_greedy_edges_lead_to_the_logits() -> None:
    found = [names(GRAPH, greedy_edges(GRAPH, CHAIN, n=n, absolute=False)) for n in (1, 2, 3)]
    assert found[0] == ["a1.h0->logits"]
    assert found[1] == ["a0.h1->a1.h0<k>", "a1.h0->logits"]
    assert found[2] == ["input->a0.h1<v>", "a0.h1->a1.h0<k>", "a1.h0->logits"]
    for n in range(0, GRAPH.n_edges, 7):
        kept = greedy_edges(GRAPH, np.random.default_rng(0).normal(size=CHAIN.shape), n=n, absolute=True)
        assert kept.sum() == n
        assert np.array_equal(live_edges(GRAPH, kept), kept)


def test_edges_that_lead_nowhere_are_not_live() -> None:
    kept = top_edges(GRAPH, CHAIN, n=5, absolute=True)
    assert len(names(GRAPH, kept)) == 5
    assert names(GRAPH, live_edges(GRAPH, kept)) == ["input->a0.h1<v>", "a0.h1->a1.h0<k>", "a1.h0->logits"]


def test_components_are_found_from_their_receivers_and_back() -> None:
    for graph in (GRAPH, ComponentGraph(3, 4, parallel=True)):
        pairs = [(source, receiver) for source in range(graph.n_sources) for receiver in inputs_of(graph, source)]
        assert len(pairs) == graph.n_receivers - 1
        assert all(source_of(graph, receiver) == source for source, receiver in pairs)
        assert source_of(graph, graph.logits) is None


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_all_edges_are_the_model_and_none_the_ablated_run(architecture: str, tmp_path: Path) -> None:
    model = tiny_components(tmp_path, architecture, n_layers=2)
    pairs = random_pairs()
    between = bounds(model, batches(model, pairs))
    found = ends(model, prepared(model, pairs))
    np.testing.assert_allclose(between.full, found.clean)
    np.testing.assert_allclose(between.empty, found.corrupted)
    for name in ("zero", "mean", "positional-mean"):
        np.testing.assert_allclose(bounds(model, batches(model, pairs, name)).full, found.clean)
    one = batches(model, pairs[:1])
    whole = evaluated(model, one, model.graph.edges, between=bounds(model, one))
    assert (whole.circuit.f, whole.complement.f) == (pytest.approx(1.0), pytest.approx(0.0))


@pytest.mark.parametrize("name", ["patching", "zero"])
def test_dead_edges_change_nothing(name: str, tmp_path: Path) -> None:
    model = tiny_components(tmp_path, n_layers=2)
    prompts = batches(model, random_pairs(), name)
    kept = np.random.default_rng(1).random(model.graph.edges.shape) < 0.35
    kept &= model.graph.edges
    live = live_edges(model.graph, kept)
    assert 0 < live.sum() < kept.sum()
    np.testing.assert_allclose(circuit_metrics(model, prompts, kept), circuit_metrics(model, prompts, live))


def test_the_curve_has_the_grid_and_ends_at_the_model(tmp_path: Path) -> None:
    model = tiny_components(tmp_path, n_layers=2)
    prompts = batches(model, random_pairs(2))
    random = np.random.default_rng(0).normal(size=model.graph.edges.shape)
    for greedy in (False, True):
        found = curve(model, prompts, random, between=bounds(model, prompts), greedy=greedy)
        assert [point.n_edges for point in found.signed][-1] == model.graph.n_edges
        if found.cpr is not None:
            assert found.signed[-1].circuit.f == pytest.approx(1.0)
            assert found.cmd is not None and found.cmd > 0


def test_acdc_without_drops_has_no_divergence_and_finds_an_and() -> None:
    model = gate("and")
    prompts = batches(model, [BOTH_ON])
    found = acdc(model, prompts, tau=1e-3)
    assert names(model.graph, found.kept) == [
        "input->a0.h0<v>",
        "input->a0.h1<v>",
        "a0.h0->m0",
        "a0.h1->m0",
        "m0->logits",
    ]
    assert found.divergence < 1e-6
    everything = acdc(model, prompts, tau=1e-3).n_tried
    assert everything < model.graph.n_edges + 1


def test_acdc_keeps_one_half_of_an_or_the_one_tried_last() -> None:
    model = gate("or")
    found = acdc(model, batches(model, [BOTH_ON]), tau=1e-3)
    assert names(model.graph, found.kept) == ["input->a0.h0<v>", "a0.h0->m0", "m0->logits"]
    assert found.divergence < 1e-6
    assert np.isnan(found.cost[model.graph.edge("input->a0.h1<v>")])  # dropped untried: nothing reads the head


def test_acdc_with_a_small_tau_keeps_a_divergence_near_0_and_with_a_large_one_drops_everything(tmp_path: Path) -> None:
    model = tiny_components(tmp_path, n_layers=1)
    prompts = batches(model, random_pairs(2))
    careful, bold = (acdc(model, prompts, tau=tau) for tau in (1e-12, 1e3))
    assert careful.divergence < 1e-6
    assert careful.kept.sum() > 0
    assert not bold.kept.any()
    with pytest.raises(InputError, match=r"tau must be above 0.*got 0.0"):
        acdc(model, prompts, tau=0.0)
