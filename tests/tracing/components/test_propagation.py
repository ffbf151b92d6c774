"""Influence propagation against finite differences and automatic differentiation of the whole model."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from circuitbase.errors import InputError
from circuitbase.graph.attribution_graph import AttributionGraph
from circuitbase.graph.trace import Trace
from circuitbase.schema.kinds import NodeKind, Port
from circuitbase.tracing.components import component_trace
from circuitbase.tracing.components.component_model import ComponentModel
from circuitbase.tracing.components.component_options import ComponentOptions
from circuitbase.tracing.components.component_trace import trace_components
from circuitbase.tracing.components.hugging_face import component_model
from circuitbase.tracing.components.running import Site, run
from circuitbase.tracing.components.writes import component_writes
from circuitbase.tracing.models import TracedModel, load_model
from tests.tiny_configs import PECULIAR
from tests.tiny_models import PROMPT, write_tiny_model

STEP = 1e-5
WHOLE = ComponentOptions(prune=False, dtype="float64", output_probability=0.5, max_outputs=3)


class Traced:
    """A complete component trace, with its model's own numbers and the gradients of its outputs' weighted sum."""

    def __init__(self, model: TracedModel, options: ComponentOptions) -> None:
        self.loaded = model
        self.trace: Trace = trace_components(model, model.tokenizer.read(PROMPT), options)
        self.model: ComponentModel = component_model(model)
        self.tokens = torch.tensor([self.trace.metadata.prompt.token_ids])
        self.seen: dict[tuple[Site, int], Tensor] = {}
        self.gradient: dict[tuple[Site, int], Tensor] = {}
        self.embedding = self.model.embedded(self.tokens)
        self.x = self.embedding.stream.clone().requires_grad_()

        def keep(site: Site, layer: int, x: Tensor) -> Tensor:
            x = x.view_as(x)
            if x.requires_grad:
                x.retain_grad()
            self.seen[site, layer] = x
            return x

        logits = run(self.model, self.x, edit=keep, read_at=torch.tensor([self.tokens.shape[1] - 1]))[0]
        self.outputs_sum(logits).backward()
        for place, x in self.seen.items():
            self.gradient[place] = x.grad if x.grad is not None else torch.zeros_like(x)
        self.writes = component_writes(self.model, self.embedding).sources[0]

    def again(self, options: ComponentOptions) -> Trace:
        return trace_components(self.loaded, self.loaded.tokenizer.read(PROMPT), options)

    def write_of(self, node: int) -> Tensor:
        graph, components = self.trace.graph, self.model.graph
        layer, unit = int(graph.node_layer[node]), int(graph.node_unit[node])
        source = {NodeKind.INPUT_TOKEN: 0, NodeKind.MLP: components.mlp(max(layer, 0))}.get(
            NodeKind(graph.node_kind[node]), components.head(layer, unit)
        )
        return self.writes[int(graph.node_position[node]), source]

    def head_with(self, edge: int, step: float) -> Tensor:
        """What a head writes, read by the outputs, if an edge's source wrote `step` more into that one input of it."""
        graph = self.trace.graph
        source, target = int(graph.edge_source[edge]), int(graph.edge_target[edge])
        layer, head, query = int(graph.node_layer[target]), int(graph.node_unit[target]), graph.node_position[target]
        attention, x = self.model.attention[layer], self.seen[Site.RESID_PRE, layer].detach()
        changed = x.clone()
        changed[0, int(graph.node_position[source])] += step * self.write_of(source)
        inputs = {port: changed if port == graph.edge_port[edge] else x for port in (Port.Q, Port.K, Port.V)}
        mixed = attention.attended(
            attention.queries(inputs[Port.Q]), attention.keys(inputs[Port.K]), attention.values(inputs[Port.V])
        ).mixed
        clean = self.seen[Site.MIXED, layer].detach().clone()
        clean[0, query, head] = mixed[0, query, head]
        return attention.written(clean)[0, query] @ self.gradient[Site.ATTENTION, layer][0, query]

    def mlp_with(self, edge: int, step: float) -> Tensor:
        graph = self.trace.graph
        source, target = int(graph.edge_source[edge]), int(graph.edge_target[edge])
        layer, position = int(graph.node_layer[target]), int(graph.node_position[target])
        x = self.seen[Site.MLP_INPUT, layer].detach()[0, position] + step * self.write_of(source)
        return self.model.mlps[layer].written(x[None])[0] @ self.gradient[Site.MLP, layer][0, position]

    def output_with(self, edge: int, step: float) -> Tensor:
        graph = self.trace.graph
        x = self.seen[Site.LOGITS_INPUT, self.model.n_layers].detach()[0]
        logits = self.model.logits(x + step * self.write_of(int(graph.edge_source[edge])))
        return logits[int(graph.node_unit[graph.edge_target[edge]])] - logits.mean()

    def outputs_sum(self, logits: Tensor) -> Tensor:
        targets = self.trace.metadata.targets
        return sum((each.weight * (logits[each.token] - logits.mean()) for each in targets), start=logits.new_zeros(()))


@cache
def traced(architecture: str, folder: Path) -> Traced:
    write_tiny_model(folder / architecture, architecture=architecture, n_layers=3)
    return Traced(load_model(folder / architecture, dtype="float64", device="cpu"), WHOLE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("components")


def derivative(of: Callable[[float], Tensor]) -> float:
    return float(of(STEP) - of(-STEP)) / (2 * STEP)


@pytest.mark.parametrize("architecture", PECULIAR)
def test_what_leaves_a_node_is_its_write_times_the_models_gradient(architecture: str, folder: Path) -> None:
    found = traced(architecture, folder)
    graph = found.trace.graph
    # an edge into an output is its effect on that output alone, all others on the weighted sum of outputs
    factor = np.ones(graph.n_nodes)
    for target in found.trace.metadata.targets:
        factor[(graph.node_kind == NodeKind.OUTPUT_TOKEN) & (graph.node_unit == target.token)] = target.weight
    leaving = np.bincount(
        graph.edge_source, weights=graph.edge_weight * factor[graph.edge_target], minlength=graph.n_nodes
    )
    expected = np.zeros(graph.n_nodes)
    for node in np.flatnonzero(graph.node_kind != NodeKind.OUTPUT_TOKEN):
        layer, position = int(graph.node_layer[node]), int(graph.node_position[node])
        site = {NodeKind.HEAD: Site.ATTENTION, NodeKind.MLP: Site.MLP}.get(NodeKind(graph.node_kind[node]))
        gradient = found.x.grad if site is None else found.gradient[site, layer]
        assert gradient is not None
        expected[node] = found.write_of(node) @ gradient[0, position]
    np.testing.assert_allclose(leaving, expected, rtol=0, atol=1e-6 * float(np.abs(graph.edge_weight).max()))


@pytest.mark.parametrize("architecture", PECULIAR)
def test_edges_into_heads_are_finite_differences_of_the_head(architecture: str, folder: Path) -> None:
    found = traced(architecture, folder)
    graph = found.trace.graph
    into_heads = np.flatnonzero(graph.node_kind[graph.edge_target] == NodeKind.HEAD)
    assert {int(port) for port in graph.edge_port[into_heads]} == {Port.Q, Port.K, Port.V}
    scale = float(np.abs(graph.edge_weight[into_heads]).max())
    for edge in np.random.default_rng(0).permutation(into_heads)[:25]:
        expected = derivative(partial(found.head_with, int(edge)))
        assert graph.edge_weight[edge] == pytest.approx(expected, rel=1e-6, abs=2e-7 * scale)


@pytest.mark.parametrize("architecture", PECULIAR)
def test_edges_into_mlps_and_outputs_are_finite_differences(architecture: str, folder: Path) -> None:
    found = traced(architecture, folder)
    graph = found.trace.graph
    kind = graph.node_kind[graph.edge_target]
    scale = float(np.abs(graph.edge_weight).max())
    for end, value in ((NodeKind.MLP, found.mlp_with), (NodeKind.OUTPUT_TOKEN, found.output_with)):
        for edge in np.random.default_rng(1).permutation(np.flatnonzero(kind == end))[:15]:
            expected = derivative(partial(value, int(edge)))
            assert graph.edge_weight[edge] == pytest.approx(expected, rel=1e-6, abs=2e-7 * scale)


@pytest.mark.parametrize("options", [{}, {"neurons": 4}, {"positions": "summed", "neurons": 2}])
@pytest.mark.parametrize("architecture", PECULIAR)
def test_every_account_closes(architecture: str, options: dict[str, Any], folder: Path) -> None:
    scores = traced(architecture, folder).again(ComponentOptions(dtype="float64", **options)).metadata.scores
    assert scores.account_violation < 1e-11
    assert scores.stored_account_violation < 1e-5
    assert (scores.replacement, scores.completeness, scores.pruned_replacement) == (1.0, 1.0, 1.0)


@pytest.mark.parametrize("positions", ["each", "summed"])
@pytest.mark.parametrize("architecture", PECULIAR)
def test_accounts_of_links_close(architecture: str, positions: Any, folder: Path) -> None:
    options = ComponentOptions(dtype="float64", links=5, positions=positions)
    # a norm of queries and keys forgets the scale of what only one token wrote: its effects are 1e-10 of their terms
    assert traced(architecture, folder).again(options).metadata.scores.account_violation < 1e-9


@pytest.mark.parametrize("architecture", PECULIAR)
def test_accounts_close_in_single_precision(architecture: str, tmp_path: Path) -> None:
    write_tiny_model(tmp_path / "model", architecture=architecture, n_layers=3)
    model = load_model(tmp_path / "model", dtype="float32", device="cpu")
    options = ComponentOptions(prune=False, neurons=3, links=4)
    scores = trace_components(model, model.tokenizer.read(PROMPT), options).metadata.scores
    assert scores.account_violation < 1e-5
    assert scores.stored_account_violation < 1e-5


@pytest.mark.parametrize("architecture", ["GPT2LMHeadModel", "Gemma2ForCausalLM", "LlamaForCausalLM"])
def test_neurons_and_the_rest_of_their_mlp_make_up_the_mlp(architecture: str, folder: Path) -> None:
    found = traced(architecture, folder)
    whole, parts = found.trace.graph, found.again(replace(WHOLE, neurons=6)).graph
    neurons = parts.node_kind == NodeKind.NEURON
    assert [int((neurons & (parts.node_layer == layer)).sum()) for layer in range(3)] == [6, 6, 6]

    def by_place(graph: AttributionGraph, ends: np.ndarray, kinds: tuple[NodeKind, ...]) -> dict[Any, float]:
        sums: dict[Any, float] = defaultdict(float)
        for edge in np.flatnonzero(np.isin(graph.node_kind[ends], [int(kind) for kind in kinds])):
            other = graph.edge_source[edge] if ends is graph.edge_target else graph.edge_target[edge]
            if graph.node_kind[other] not in (NodeKind.MLP, NodeKind.NEURON):
                place = (graph.node_layer[ends[edge]], graph.node_position[ends[edge]])
                unit = (graph.node_kind[other], graph.node_layer[other], graph.node_position[other])
                sums[(*place, *unit, graph.node_unit[other], graph.edge_port[edge])] += float(graph.edge_weight[edge])
        return sums

    kinds = (NodeKind.MLP, NodeKind.NEURON)
    for side in ("edge_source", "edge_target"):
        assert by_place(parts, getattr(parts, side), kinds) == pytest.approx(
            by_place(whole, getattr(whole, side), kinds), abs=1e-6
        )


@pytest.mark.parametrize("architecture", ["GPT2LMHeadModel", "Gemma2ForCausalLM", "Qwen3ForCausalLM"])
def test_links_split_a_heads_queries_and_keys(architecture: str, folder: Path) -> None:
    found = traced(architecture, folder)
    whole, parts = found.trace.graph, found.again(replace(WHOLE, links=6)).graph
    links = np.flatnonzero(parts.node_kind == NodeKind.ATTENTION_LINK)
    assert len(links) == 18
    assert (parts.node_key_position[links] <= parts.node_position[links]).all()

    def into_heads(graph: AttributionGraph) -> dict[Any, float]:
        kinds = [int(NodeKind.HEAD), int(NodeKind.ATTENTION_LINK)]
        sums: dict[Any, float] = defaultdict(float)
        for edge in np.flatnonzero(np.isin(graph.node_kind[graph.edge_target], kinds) & (graph.edge_port > 0)):
            source, target = graph.edge_source[edge], graph.edge_target[edge]
            ends = [graph.node_layer[target], graph.node_unit[target], graph.node_position[target]]
            start = [graph.node_kind[source], graph.node_layer[source], graph.node_unit[source]]
            sums[(*ends, *start, graph.node_position[source], graph.edge_port[edge])] += float(graph.edge_weight[edge])
        return sums

    assert into_heads(parts) == pytest.approx(into_heads(whole), abs=1e-6)


def test_summed_positions_are_the_sums_over_positions(folder: Path) -> None:
    found = traced("LlamaForCausalLM", folder)
    graph, summed = found.trace.graph, found.again(replace(WHOLE, positions="summed")).graph
    assert set(summed.node_position) == {-1}
    for kind, layer, unit in ((NodeKind.HEAD, 1, 2), (NodeKind.MLP, 2, 0)):
        mine = [
            (each.node_kind == kind) & (each.node_layer == layer) & (each.node_unit == unit) for each in (graph, summed)
        ]
        assert int(mine[1].sum()) == 1
        for side in ("edge_source", "edge_target"):
            sums = [
                float(each.edge_weight[np.isin(getattr(each, side), np.flatnonzero(chosen))].sum())
                for each, chosen in zip((graph, summed), mine, strict=True)
            ]
            assert sums[1] == pytest.approx(sums[0], abs=1e-6)


def test_a_trace_that_memory_cannot_hold_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = traced("GPT2LMHeadModel", folder)
    monkeypatch.setattr(component_trace, "MOST_EFFECTS", 100)
    with pytest.raises(
        InputError, match=r"positions would have about \d[\d,]* edges, more than 100; leave out the least"
    ):
        found.again(WHOLE)
    assert found.again(replace(WHOLE, relative_tau=0.1)).graph.n_edges > 0


@pytest.mark.parametrize("options", [{"tau": 0.02}, {"relative_tau": 0.1}])
def test_a_threshold_leaves_out_what_is_below_it_and_says_what_it_took(options: dict[str, float], folder: Path) -> None:
    found = traced("GPT2LMHeadModel", folder)
    cut = found.again(replace(WHOLE, **options))
    assert 0 < cut.graph.n_nodes < found.trace.graph.n_nodes
    assert cut.metadata.scores.kept_mass < 1
    assert cut.metadata.scores.account_violation < 1e-11
    assert cut.metadata.scores.stored_account_violation < 1e-5
    if "tau" in options:
        assert np.abs(cut.graph.edge_weight).min() >= 0.02
    # with all heads and MLPs gone, what is left is the direct path, as the model has it
    bare = found.again(replace(WHOLE, tau=1e6)).graph
    assert set(bare.node_kind) == {NodeKind.INPUT_TOKEN, NodeKind.OUTPUT_TOKEN}
