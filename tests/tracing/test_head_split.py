"""Edges split by the last attention head on their paths."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from circuitbase.graph.edge_blocks import Edges, all_edges
from circuitbase.graph.trace import TracedPrompt
from circuitbase.tracing.attribution import rows_and_left_out
from circuitbase.tracing.effects import FrozenPaths
from circuitbase.tracing.head_split import head_parts
from circuitbase.tracing.options import TraceOptions
from circuitbase.tracing.preparation import Prepared
from circuitbase.tracing.prompt_batches import asked_prompts, prepared_prompts
from circuitbase.tracing.traced_rows import TracedRows
from tests.tiny_models import PROMPT
from tests.tracing.cases import CASES, WHOLE, Case, Loaded, loaded
from tests.tracing.setups import make_setup


def without_attention(graph) -> np.ndarray:
    """The part of each edge that no head carries, as the file tells it."""
    parts = np.bincount(graph.head_edge, weights=graph.head_weight, minlength=graph.n_edges)
    return graph.edge_weight - parts


@pytest.mark.parametrize("case", CASES, ids=str)
def test_parts_by_head_and_the_part_without_attention_sum_to_the_edge(case: Case, tmp_path: Path) -> None:
    found = loaded(tmp_path, case)
    graph = found.trace(replace(WHOLE, heads=True)).graph
    assert graph.head_edge is not None
    left = without_attention(graph)
    other_position = graph.node_position[graph.edge_source] != graph.node_position[graph.edge_target]
    # nothing reaches another position without a head
    assert np.abs(left[other_position]).max() <= 2e-6 * np.abs(graph.edge_weight).max()
    assert (graph.head_weight != 0).all()


@pytest.mark.parametrize("case", (CASES[2], CASES[3], CASES[6]), ids=str)
def test_a_part_is_what_its_head_adds_where_no_attention_comes_after(case: Case, tmp_path: Path) -> None:
    read, prepared, rows = traced_whole(loaded(tmp_path, case))
    edges = all_edges(rows.blocks)
    parts = head_parts(prepared.paths, [*prepared.features, *prepared.ends], edges)
    scale, n_heads = np.abs(edges.weight).max(), case.n_heads
    expected = np.zeros((len(edges.source), case.n_layers, n_heads))
    below = edges_with_heads(prepared, edges, set())
    assert np.abs(parts.without - below).max() <= 1e-12 * scale
    for layer in range(case.n_layers):
        lower = {(lower, head) for lower in range(layer) for head in range(n_heads)}
        before = edges_with_heads(prepared, edges, lower)
        for head in range(n_heads):
            through = edges_with_heads(prepared, edges, lower | {(layer, head)})
            expected[:, layer, head] = through - before
    found = np.zeros_like(expected)
    found[parts.edge, parts.layer, parts.head] = parts.weight
    assert np.abs(found - expected).max() <= 1e-12 * scale
    assert np.abs(found.sum((1, 2)) + parts.without - edges.weight).max() <= 1e-12 * scale
    assert len(read.token_ids) > 3


def traced_whole(found: Loaded) -> tuple[TracedPrompt, Prepared, TracedRows]:
    read = found.model.tokenizer.read(PROMPT)
    asked = asked_prompts(found.model, found.dictionary, [read], WHOLE, targets=None)
    (prepared,) = prepared_prompts(found.model, found.dictionary, asked, WHOLE)
    rows, _ = rows_and_left_out(prepared, WHOLE, block_numbers=2**20)
    return read, prepared, rows


def edges_with_heads(prepared: Prepared, edges: Edges, kept: set[tuple[int, int]]) -> np.ndarray:
    """The weights of edges in the frozen model whose other heads' patterns are set to 0."""
    frozen = prepared.paths.frozen
    layers = []
    for layer, block in enumerate(frozen.layers):
        mask = torch.tensor([(layer, head) in kept for head in range(len(block.attention.mix))])
        attention = replace(block.attention, mix=block.attention.mix * mask[:, None, None])
        layers.append(replace(block, attention=attention))
    paths = FrozenPaths(replace(frozen, layers=tuple(layers)), prepared.paths.written)
    rows, _ = rows_and_left_out(replace(prepared, paths=paths), WHOLE, block_numbers=2**20)
    full, found = np.zeros((len(prepared.nodes),) * 2), all_edges(rows.blocks)
    full[found.target, found.source] = found.weight
    return full[edges.target, edges.source]


def test_a_split_graph_is_the_same_graph(tmp_path: Path) -> None:
    found = loaded(tmp_path, CASES[2], dtype="float32")
    plain, split = found.trace(TraceOptions()), found.trace(TraceOptions(heads=True))
    assert plain.graph.head_edge is None
    for name, column in plain.graph.arrays().items():
        np.testing.assert_array_equal(column, getattr(split.graph, name))
    assert plain.metadata.trace_id != split.metadata.trace_id


@pytest.mark.parametrize("kind", ["head-value-sae", "attention-write-sae", "cross-layer-skip"])
def test_edges_are_split_under_grouped_queries_and_norms_after_attention(kind: str, tmp_path: Path) -> None:
    found = make_setup(tmp_path / "model", "Gemma2ForCausalLM", kind)
    graph = found.trace(replace(WHOLE, heads=True)).graph
    other_position = graph.node_position[graph.edge_source] != graph.node_position[graph.edge_target]
    left = without_attention(graph)
    assert np.abs(left[other_position]).max() <= 2e-6 * np.abs(graph.edge_weight).max()
    assert other_position.sum() > 100
