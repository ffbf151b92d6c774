"""The reference itself: with every write as it is, the frozen model is the original one."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from circuitbase.graph.attribution_graph import AttributionGraph
from circuitbase.schema.kinds import NodeKind
from tests.tiny_configs import PECULIAR
from tests.tiny_models import write_tiny_model
from tests.tracing.expected_nodes import expected_graph
from tests.tracing.frozen_reference import FrozenReference
from tests.tracing.random_dictionaries import random_dictionary

TOKENS = (0, 5, 9, 4, 28, 12)
N_LAYERS, D_MODEL = 3, 16
SEQUENTIAL = {"use_parallel_residual": False}
MODELS = [
    *(pytest.param(architecture, {}, id=architecture) for architecture in PECULIAR),
    pytest.param("GPTNeoXForCausalLM", SEQUENTIAL, id="GPTNeoXForCausalLM-sequential"),
]
# name -> of the dictionary, of the reference
KINDS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "jumprelu": ({}, {}),
    "relu-skip": ({"activation": "relu", "skip": True}, {"reads": "hook_resid_mid"}),
    "topk-write": ({"activation": "topk"}, {"writes": "hook_mlp_out", "k": 4}),
    "clipped-topk": ({"activation": "topk"}, {"k": 7, "positive": True}),
    "normalized-skip": ({"skip": True}, {"reads": "ln2.hook_normalized", "writes": "hook_mlp_out"}),
    "cross-layer": ({"cross_layer": True}, {"reads": "hook_resid_mid", "writes": "hook_mlp_out"}),
    "cross-layer-skip": ({"cross_layer": True, "skip": True}, {"writes": "mlp.hook_out"}),
    "mlp-sae": ({}, {"reads": "mlp.hook_out", "writes": "mlp.hook_out"}),
    "mlp-write-sae": ({}, {"reads": "hook_mlp_out", "writes": "hook_mlp_out"}),
    "head-value-sae": ({}, {"reads": "attn.hook_z", "writes": "attn.hook_z"}),
    "attention-sae": ({}, {"reads": "attn.hook_out", "writes": "attn.hook_out"}),
    "attention-write-sae": ({}, {"reads": "hook_attn_out", "writes": "hook_attn_out"}),
}


def reference(folder: Path, kind: str, architecture: str, settings: dict[str, Any]) -> FrozenReference:
    described, places = KINDS[kind]
    if architecture == "Olmo2ForCausalLM" and places.get("reads") == "ln2.hook_normalized":
        places = {**places, "reads": "mlp.hook_in"}  # it has no such norm
    model = write_tiny_model(
        folder / "model", architecture=architecture, n_layers=N_LAYERS, d_model=D_MODEL, settings=settings
    )
    width = 4 * PECULIAR[architecture].get("head_dim", 4) if kind == "head-value-sae" else D_MODEL
    direction = torch.from_numpy(np.random.default_rng(5).normal(size=D_MODEL))
    return FrozenReference(
        model, random_dictionary(N_LAYERS, width=width, **described), TOKENS, directions={0: (3, direction)}, **places
    )


def whole(found: FrozenReference) -> AttributionGraph:
    return expected_graph(found, without_nodes=(0,), output_tokens=(3, 7))


@pytest.mark.parametrize("kind", ["jumprelu", "normalized-skip", "cross-layer-skip", "head-value-sae"])
@pytest.mark.parametrize(("architecture", "settings"), MODELS)
def test_with_every_write_as_it_is_the_frozen_model_is_the_original(
    architecture: str, settings: dict[str, Any], kind: str, tmp_path: Path
) -> None:
    found = reference(tmp_path, kind, architecture, settings)
    graph = whole(found)
    clean = found.clean_target_reads(graph)
    again = found.reads_at(graph, torch.ones(2, graph.n_nodes, dtype=torch.float64)).numpy()
    assert np.isfinite(clean).sum() >= 3
    assert np.array_equal(np.isnan(again[0]), np.isnan(clean))
    assert np.nanmax(np.abs(again - clean)) <= 1e-10
    assert (graph.node_kind == NodeKind.FEATURE).sum() > 20


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("architecture", ["GPTNeoXForCausalLM", "Olmo2ForCausalLM", "Gemma2ForCausalLM"])
def test_every_account_closes(architecture: str, kind: str, tmp_path: Path) -> None:
    found = reference(tmp_path, kind, architecture, {})
    graph = whole(found)
    edges, clean = found.edges(graph), found.clean_target_reads(graph)
    assert np.nanmax(np.abs(edges.sum(1) + found.bias_effects(graph) - clean)) <= 1e-9
    assert (np.abs(edges) > 1e-3).sum() > 50


@pytest.mark.parametrize("kind", KINDS)
def test_edges_are_derivatives(kind: str, tmp_path: Path) -> None:
    found = reference(tmp_path, kind, "Gemma2ForCausalLM", {})
    graph = whole(found)
    edges = found.edges(graph)
    assert np.abs(edges - found.derivatives(graph)).max() <= 1e-10
    source = int(np.abs(edges).sum(0).argmax())
    assert np.nanmax(np.abs(edges[:, source] - found.moved_by(graph, source))) <= 1e-10


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("architecture", ["GPTNeoXForCausalLM", "MistralForCausalLM"])
def test_nothing_acts_backwards(architecture: str, kind: str, tmp_path: Path) -> None:
    found = reference(tmp_path, kind, architecture, {})
    graph = whole(found)
    edges = found.edges(graph)
    later = graph.node_position[None, :] > graph.node_position[:, None]
    above = graph.node_layer[None, :] >= graph.node_layer[:, None]
    assert np.abs(edges[later]).max() <= 1e-12
    assert np.abs(edges[above]).max() <= 1e-12
    sources = np.isin(graph.node_kind, (NodeKind.OUTPUT_TOKEN, NodeKind.OTHER_OUTPUT))
    assert np.abs(edges[:, sources]).max() <= 1e-12


def test_features_of_an_mlps_sae_are_read_by_nobody_behind_the_cut(tmp_path: Path) -> None:
    found = reference(tmp_path, "mlp-sae", "GPT2LMHeadModel", {})
    graph = whole(found)
    features = graph.node_kind == NodeKind.FEATURE
    edges = found.edges(graph)
    assert np.abs(edges[features]).max() == 0
    assert np.abs(edges[:, features]).max() > 0.01


def test_attention_layers_that_an_sae_replaces_pass_nothing_on(tmp_path: Path) -> None:
    found = reference(tmp_path, "attention-sae", "LlamaForCausalLM", {})
    graph = whole(found)
    tokens = np.flatnonzero(graph.node_kind == NodeKind.INPUT_TOKEN)
    outputs = np.flatnonzero(graph.node_kind == NodeKind.OUTPUT_TOKEN)
    into_outputs = np.abs(found.edges(graph)[np.ix_(outputs, tokens)])
    assert into_outputs[:, :-1].max() <= 1e-12  # another position's token comes by attention alone
    assert into_outputs[:, -1].min() > 1e-3


def test_in_parallel_blocks_attention_is_on_no_path_into_its_own_blocks_features(tmp_path: Path) -> None:
    strongest = {}
    for name, settings in (("parallel", {}), ("sequential", SEQUENTIAL)):
        found = reference(tmp_path / name, "jumprelu", "GPTNeoXForCausalLM", settings)
        graph = whole(found)
        first = (graph.node_kind == NodeKind.FEATURE) & (graph.node_layer == 0)
        token = graph.node_kind == NodeKind.INPUT_TOKEN
        elsewhere = graph.node_position[first][:, None] != graph.node_position[token][None, :]
        strongest[name] = np.abs(found.edges(graph)[np.ix_(first, token)][elsewhere]).max()
    assert strongest["parallel"] <= 1e-12
    assert strongest["sequential"] > 1e-3


def with_features(graph: AttributionGraph, kept: np.ndarray, *, silent: np.ndarray | None = None) -> AttributionGraph:
    columns = {name: array[kept] for name, array in graph.arrays().items() if name.startswith("node_")}
    if silent is not None:
        columns["node_silent"] = silent[kept].astype(np.uint8)
    return replace(graph, **columns)


@pytest.mark.parametrize("kind", ["jumprelu", "cross-layer-skip", "attention-sae"])
def test_a_graph_of_some_features_has_a_part_of_the_edges(kind: str, tmp_path: Path) -> None:
    found = reference(tmp_path, kind, "Qwen3ForCausalLM", {})
    graph = whole(found)
    kept = np.flatnonzero((graph.node_kind != NodeKind.FEATURE) | (graph.node_unit % 3 == 0))
    part = found.edges(with_features(graph, kept))
    assert np.abs(part - found.edges(graph)[np.ix_(kept, kept)]).max() <= 1e-12


def test_a_silent_feature_reads_but_writes_nothing(tmp_path: Path) -> None:
    found = reference(tmp_path, "jumprelu", "Phi3ForCausalLM", {})
    graph = whole(found)
    silent = (graph.node_kind == NodeKind.FEATURE) & (graph.node_unit % 3 == 0)
    all_active, some_silent = (
        found.edges(graph),
        found.edges(with_features(graph, np.arange(len(silent)), silent=silent)),
    )
    assert np.abs(some_silent - np.where(silent, 0, all_active)).max() <= 1e-12
