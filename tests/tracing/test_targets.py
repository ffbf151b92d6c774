"""What a trace can be asked to end in, each against the frozen model computed independently."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from circuitbase.errors import InputError
from circuitbase.graph.attribution_graph import AttributionGraph
from circuitbase.schema.kinds import OUTPUT_KINDS, NodeKind
from circuitbase.store.trace_file import from_bytes, to_bytes
from circuitbase.tracing.options import TraceOptions
from circuitbase.tracing.plan import plan
from circuitbase.tracing.targets import AskedTarget, DirectionTarget, FeatureTarget, RoleTarget, TokenTarget
from tests.tracing.cases import keys
from tests.tracing.frozen_reference import FrozenReference
from tests.tracing.pinned_model import Seen
from tests.tracing.setups import TOKENS, WHOLE, Exact, Setup, make_setup

ARCHITECTURES = ("GPT2LMHeadModel", "Gemma2ForCausalLM")
N_LAYERS = 3
VECTOR = tuple(np.random.default_rng(8).normal(size=16).tolist())
LAST = len(TOKENS) - 1


@pytest.fixture(scope="module", params=ARCHITECTURES)
def setup(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Setup:
    return make_setup(tmp_path_factory.mktemp("target") / "model", request.param)


@pytest.fixture(scope="module")
def reference(setup: Setup) -> FrozenReference:
    return setup.reference()


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Setup:
    return make_setup(tmp_path_factory.mktemp("single") / "model", "GPT2LMHeadModel", dtype="float32")


def asking(kind: str, **changes: Any) -> TraceOptions:
    return replace(WHOLE, target=kind, **changes)


def agrees(found: Exact, reference: FrozenReference) -> None:
    expected, bias = reference.edges(found.graph), reference.bias_effects(found.graph)
    assert np.abs(found.matrix() - expected).max() <= 1e-10 * np.abs(expected).max()
    targets = np.isfinite(found.graph.node_preactivation)
    assert np.abs(found.of_stored(found.rows.bias_effect) - bias)[targets].max() <= 1e-10
    clean = reference.clean_target_reads(found.graph)
    assert np.abs(found.of_stored(found.nodes.preactivation) - clean)[targets].max() <= 1e-10
    assert found.assembled.scores.account_violation <= 1e-11


def with_directions(reference: FrozenReference, *directions: tuple[int, Tensor]) -> FrozenReference:
    reference.directions = dict(enumerate(directions))
    return reference


def test_named_tokens_are_read_as_probable_ones_are(setup: Setup, reference: FrozenReference) -> None:
    found = setup.exact(asking("tokens"), TokenTarget(7), TokenTarget(3))
    agrees(found, reference)
    ends = np.isin(found.graph.node_kind, [int(kind) for kind in OUTPUT_KINDS])
    assert found.graph.node_unit[ends].tolist() == [3, 7]
    assert set(found.graph.node_kind[ends].tolist()) == {int(NodeKind.OUTPUT_TOKEN)}
    assert found.nodes.weight[found.nodes.outputs].tolist() == [1.0, 1.0]


def test_roles_are_contrasts_of_rows_of_the_unembedding(setup: Setup, reference: FrozenReference) -> None:
    W_U = setup.model.parts.W_U.detach()
    roles = RoleTarget("contrast", 5, 6), RoleTarget("answer", 5)
    found = setup.exact(asking("roles"), *roles)
    agrees(found, with_directions(reference, (LAST, W_U[5] - W_U[6]), (LAST, W_U[5] - W_U.mean(0))))
    assert [key[0] for key in keys(found.graph)[-2:]] == [NodeKind.OTHER_OUTPUT] * 2


class ResidualReference(FrozenReference):
    """One whose directions are read in the residual stream, before the block that `layers` gives."""

    layers: tuple[int, ...] = ()

    def _target_reads(self, graph: AttributionGraph, seen: Seen) -> Tensor:
        reads = super()._target_reads(graph, seen)
        for node in np.flatnonzero(graph.node_kind == NodeKind.OTHER_OUTPUT):
            unit = int(graph.node_unit[node])
            layer, (position, direction) = self.layers[unit], self.directions[unit]
            name = (-1, "final") if layer == self.n_layers else (layer, "attention_norm")
            reads[:, node] = seen.norm_inputs[name][:, position] @ direction
        return reads


def test_directions_are_read_before_any_block_and_after_the_last_at_any_position(setup: Setup) -> None:
    places = [(layer, position) for layer in range(N_LAYERS + 1) for position in (0, 2, LAST)]
    vectors = torch.randn(len(places), 16, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    asked = [
        DirectionTarget(f"d{place}", layer, position, tuple(vectors[place].tolist()))
        for place, (layer, position) in enumerate(places)
    ]
    found = setup.exact(asking("directions"), *asked)
    independent = ResidualReference(setup.folder, setup.layers, TOKENS, reads=setup.reads, writes=setup.writes)
    independent.layers = tuple(layer for layer, _ in places)
    agrees(found, with_directions(independent, *((p, v) for (_, p), v in zip(places, vectors, strict=True))))
    graph, ends = found.graph, found.graph.node_kind == NodeKind.OTHER_OUTPUT
    assert graph.node_unit[ends].tolist() == sorted(range(len(places)), key=lambda place: (places[place][1], place))
    assert graph.node_position[ends].tolist() == sorted(position for _, position in places)
    np.testing.assert_array_equal(graph.node_activation[ends], graph.node_preactivation[ends])


@pytest.fixture(scope="module")
def whole(setup: Setup) -> Exact:
    return setup.exact(WHOLE)


def active_units(whole: Exact, *, layer: int, position: int) -> list[int]:
    graph = whole.graph
    return graph.active_unit[(graph.active_layer == layer) & (graph.active_position == position)].tolist()


def silent_place(whole: Exact, *, layer: int, position: int) -> FeatureTarget:
    """The first feature that does not fire somewhere."""
    return FeatureTarget(
        layer, min(set(range(12)) - set(active_units(whole, layer=layer, position=position))), position
    )


def active_place(whole: Exact, *, layer: int, position: int) -> FeatureTarget:
    return FeatureTarget(layer, active_units(whole, layer=layer, position=position)[0], position)


def test_features_are_targets_where_they_fire_and_where_they_do_not(
    setup: Setup, reference: FrozenReference, whole: Exact
) -> None:
    fires, silent = active_place(whole, layer=1, position=2), silent_place(whole, layer=2, position=3)
    first = silent_place(whole, layer=0, position=LAST)
    found = setup.exact(asking("features"), fires, silent, first)
    agrees(found, reference)
    assert found.assembled.counts.nodes == whole.assembled.counts.nodes - (whole.nodes.kind == 3).sum() + 2
    ends = np.flatnonzero(found.nodes.weight)
    asked = sorted((each.layer, each.position, each.feature) for each in (fires, silent, first))
    assert [key[1:] for key in np.array(keys(found.graph))[ends].tolist()] == [list(each) for each in asked]
    assert found.graph.node_silent[ends].tolist() == [each != (1, 2, fires.feature) for each in asked]
    # what lies above or beside a target has no influence on it
    above = (found.graph.node_layer == 2) & (found.graph.node_kind == NodeKind.FEATURE) & ~found.nodes.is_silent
    assert not found.graph.node_influence[above].any()


@pytest.mark.parametrize("edge_threshold", [0.3, 0.98])
def test_target_features_stay_when_the_graph_is_pruned(setup: Setup, whole: Exact, edge_threshold: float) -> None:
    asked = [active_place(whole, layer=2, position=3), silent_place(whole, layer=1, position=2)]
    asked.append(silent_place(whole, layer=0, position=1))
    options = asking("features", prune=True, edge_threshold=edge_threshold, node_threshold=edge_threshold)
    found = {key[1:] for key in keys(setup.trace(options, *asked).graph)}
    assert {(each.layer, each.position, each.feature) for each in asked} <= found


@pytest.mark.parametrize(
    ("kind", "targets", "sentence"),
    [
        ("tokens", [TokenTarget(30)], "a target token must be 0 to 28, got 30"),
        ("tokens", [], "the target `tokens` needs at least one token; name one, or ask for `probable`"),
        ("tokens", [TokenTarget(3), TokenTarget(3)], "each target must be given once"),
        ("roles", [RoleTarget("a", -1)], "the token of role a must be 0 to 28, got -1"),
        ("roles", [RoleTarget("a", 3, 3)], "the role a must compare two tokens, got 3 twice"),
        ("roles", [RoleTarget("a", 3), RoleTarget("a", 4)], "each role must be given once, got a twice"),
        ("features", [FeatureTarget(3, 0, 1)], "the layer of a target feature must be 0 to 2, got 3"),
        ("features", [FeatureTarget(1, 12, 1)], "a feature of layer 1 must be 0 to 11, got 12"),
        ("features", [FeatureTarget(1, -1, 1)], "a feature of layer 1 must be 0 to 11, got -1"),
        ("features", [FeatureTarget(1, 0, 6)], "the position of feature .* must be 0 to 5 on this prompt, got 6"),
        ("features", [FeatureTarget(1, 0, -1)], "the position of feature .* must be 0 to 5 on this prompt, got -1"),
        ("features", [FeatureTarget(1, 0, 0)], "position 0 has no nodes on this prompt"),
        ("features", [TokenTarget(3)], "the target `features` takes targets of that kind alone"),
        ("directions", [DirectionTarget("v", 4, 0, VECTOR)], "the layer of direction v must be 0 to 3, got 4"),
        ("directions", [DirectionTarget("v", -1, 0, VECTOR)], "the layer of direction v must be 0 to 3, got -1"),
        ("directions", [DirectionTarget("v", 0, 6, VECTOR)], "the position of direction v must be 0 to 5"),
        ("directions", [DirectionTarget("v", 0, 0, (1.0,))], "direction v must have 16 numbers, got 1"),
        ("directions", [DirectionTarget("v", 0, 0, (0.0,) * 16)], "direction v must be finite and not zero"),
        ("directions", [DirectionTarget("v", 0, 0, (np.nan,) * 16)], "direction v must be finite and not zero"),
    ],
)
def test_what_cannot_be_traced_is_refused_in_a_sentence(
    single: Setup, kind: str, targets: list[AskedTarget], sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        single.trace(TraceOptions(target=kind), *targets)  # type: ignore[arg-type]


EVERY_KIND: dict[str, Callable[[Setup], list[AskedTarget]]] = {
    "probable": lambda _: [],
    "tokens": lambda _: [TokenTarget(7), TokenTarget(3)],
    "roles": lambda _: [RoleTarget("contrast", 5, 6), RoleTarget("answer", 5)],
    "features": lambda setup: [FeatureTarget(2, 4, 3), FeatureTarget(2, 4, 2), FeatureTarget(0, 11, 5)],
    "directions": lambda _: [DirectionTarget("v", 3, 0, VECTOR), DirectionTarget("v", 1, 5, VECTOR)],
}
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "whole-with-heads": {"prune": False, "heads": True},
    "limited": {"max_features": 9, "keep_mass": 0.9, "heads": True},
    "silent": {"silent": ((0, 3), (2, 4)), "node_threshold": 0.5, "edge_threshold": 0.5},
}


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("kind", EVERY_KIND)
def test_a_trace_has_the_ids_that_were_planned_and_its_file_reads_back(kind: str, options: str, single: Setup) -> None:
    asked, chosen = EVERY_KIND[kind](single), TraceOptions(target=kind, **OPTIONS[options])  # type: ignore[arg-type]
    planned = plan(single.model.identity, single.dictionary.identity, single.read(), tuple(asked), chosen)
    made = single.trace(chosen, *asked)
    metadata = made.metadata
    assert (metadata.trace_id, metadata.configuration_id, metadata.prompt_id) == (
        planned.trace_id,
        planned.configuration_id,
        planned.prompt_id,
    )
    content = to_bytes(made)
    again = from_bytes(content, name="trace")
    assert again.metadata == metadata
    assert to_bytes(again) == content
    for name, column in made.graph.arrays().items():
        np.testing.assert_array_equal(again.graph.arrays()[name], column)
    assert metadata.scores.account_violation <= 1e-5
    assert metadata.scores.stored_account_violation <= 1e-5
    assert to_bytes(single.trace(chosen, *asked)) == content


def test_each_kind_of_target_and_each_option_has_an_id_of_its_own(single: Setup) -> None:
    found = [
        plan(
            single.model.identity,
            single.dictionary.identity,
            single.read(),
            tuple(make(single)),
            TraceOptions(target=kind, **changes),  # type: ignore[arg-type]
        ).trace_id
        for kind, make in EVERY_KIND.items()
        for changes in OPTIONS.values()
    ]
    assert len(set(found)) == len(found)
