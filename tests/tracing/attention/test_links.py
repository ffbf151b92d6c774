"""Attention links of feature traces: pairs of trace nodes that add up to the score, whatever writes below."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from circuitbase.errors import InputError, ModelError
from circuitbase.graph.attribution_graph import AttributionGraph
from circuitbase.graph.consistency import problems
from circuitbase.schema.kinds import NodeKind
from circuitbase.store.trace_file import from_bytes, to_bytes
from circuitbase.tracing.attention.head_reads import key_read, query_read
from circuitbase.tracing.attention.links import attention_links
from circuitbase.tracing.attention.softmax_parts import integrated
from circuitbase.tracing.components.hugging_face import attention_layer
from circuitbase.tracing.effects import FrozenPaths, RowBlock
from circuitbase.tracing.options import TraceOptions
from circuitbase.tracing.prompt_batches import asked_prompts, prepared_prompts
from circuitbase.tracing.target_blocks import Targets
from tests.tiny_configs import PECULIAR
from tests.tracing.dictionary_kinds import KINDS
from tests.tracing.setups import WHOLE, Setup, make_setup

EXPLAINED = replace(WHOLE, explain_attention=((2, 1, -1), (1, 0, 4)), explain_keys=2, explain_pairs=5)
EVERY_PAIR = replace(EXPLAINED, explain_pairs=10**6)


def links_of(graph: AttributionGraph) -> np.ndarray:
    return np.flatnonzero(graph.node_kind == NodeKind.ATTENTION_LINK)


def sums(graph: AttributionGraph, column: np.ndarray) -> np.ndarray:
    return np.array([column[graph.pair_link == link].sum(dtype=np.float64) for link in links_of(graph)])


@pytest.mark.parametrize("kind", KINDS)
def test_all_pairs_and_biases_are_the_score_under_every_kind_of_dictionary(kind: str, tmp_path: Path) -> None:
    check_closes(make_setup(tmp_path / "model", "GPT2LMHeadModel", kind))


@pytest.mark.parametrize("architecture", PECULIAR)
def test_all_pairs_and_biases_are_the_score_under_every_architecture(architecture: str, tmp_path: Path) -> None:
    check_closes(make_setup(tmp_path / "model", architecture, "cross-layer-skip"))


def check_closes(setup: Setup) -> None:
    found = setup.trace(EVERY_PAIR)
    assert found.metadata.scores.account_violation <= 1e-11
    graph = found.graph
    links = links_of(graph)
    assert len(links) == 4
    size = graph.node_absolute_input[links] + np.abs(graph.node_bias_effect[links])
    assert (np.abs(graph.node_rest[links]) <= 1e-5 * size).all()
    closing = sums(graph, graph.pair_score) + graph.node_bias_effect[links] + graph.node_rest[links]
    assert (np.abs(closing - graph.node_preactivation[links]) <= 1e-5 * size).all()


@pytest.mark.parametrize("architecture", ["GPT2LMHeadModel", "Qwen3ForCausalLM"])
def test_a_node_brings_what_a_change_of_what_it_writes_changes(architecture: str, tmp_path: Path) -> None:
    """The embedding's part of the query, against a run of the frozen model's own linear maps."""
    setup = make_setup(tmp_path / "model", architecture, "jumprelu")
    asked = asked_prompts(setup.model, setup.dictionary, [setup.read()], EVERY_PAIR, targets=None)
    (prepared,) = prepared_prompts(setup.model, setup.dictionary, asked, EVERY_PAIR)
    kept = np.ones(len(prepared.nodes), dtype=bool)
    links = attention_links(setup.model, prepared, EVERY_PAIR, kept=kept, block_numbers=600)
    link = next(link for link in links if link.layer == 2)
    attention, x = attention_layer(setup.model, 2), prepared.run.layers[2].input
    asks = query_read(attention, x, head=link.head, position=link.query)
    offers = key_read(attention, x, head=link.head, position=link.key)
    node, other = 1, int(link.key)  # input tokens come first
    written = []
    for token in (node, other):
        pushed = torch.zeros(len(x), 1, x.shape[1], dtype=x.dtype)
        pushed[token, 0] = prepared.run.embedding[token]
        for block in prepared.paths.frozen.layers[:2]:
            pushed = pushed + block.attention.pushed(pushed)
        written.append(pushed[:, 0])
    expected = attention.scoring.scale * float(
        asks.of(written[0])[link.query] @ offers.of(written[1])[link.key].to(x.dtype)
    )
    place = (link.query_node == node) & (link.key_node == other)
    assert float(link.pair_score[place].sum()) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_the_strongest_pairs_are_kept_and_the_others_are_the_rest(tmp_path: Path) -> None:
    setup = make_setup(tmp_path / "model", "GPT2LMHeadModel")
    some, every = setup.trace(EXPLAINED).graph, setup.trace(EVERY_PAIR).graph
    for link in links_of(every):
        mine, few = every.pair_link == link, some.pair_link == link
        largest = np.sort(np.abs(every.pair_score[mine]))[-5:]
        np.testing.assert_allclose(np.sort(np.abs(some.pair_score[few])), largest, rtol=1e-5)
        left = every.pair_score[mine].sum(dtype=np.float64) - some.pair_score[few].sum(dtype=np.float64)
        assert some.node_rest[link] == pytest.approx(left, rel=1e-4, abs=1e-5)
    np.testing.assert_array_equal(some.node_absolute_input, every.node_absolute_input)


def test_pruned_nodes_are_in_no_pair_and_the_account_still_closes(tmp_path: Path) -> None:
    setup = make_setup(tmp_path / "model", "GPT2LMHeadModel")
    found = setup.trace(replace(EVERY_PAIR, prune=True, node_threshold=0.3, edge_threshold=0.5))
    assert found.metadata.counts.nodes > found.graph.n_nodes
    assert found.metadata.scores.stored_account_violation <= 1e-5
    assert np.abs(found.graph.node_rest[links_of(found.graph)]).max() > 0.01
    assert not problems(found.graph, n_layers=3, n_positions=6, n_targets=len(found.metadata.targets))


def test_a_link_has_the_weight_of_the_pattern_and_its_pairs_their_parts_of_it(tmp_path: Path) -> None:
    setup = make_setup(tmp_path / "model", "Gemma2ForCausalLM")
    asked = asked_prompts(setup.model, setup.dictionary, [setup.read()], EVERY_PAIR, targets=None)
    (prepared,) = prepared_prompts(setup.model, setup.dictionary, asked, EVERY_PAIR)
    graph = setup.trace(EVERY_PAIR).graph
    attention = attention_layer(setup.model, 2)
    pattern = prepared.run.layers[2].pattern[1, 5].numpy()
    mine = [link for link in links_of(graph) if graph.node_layer[link] == 2]
    assert {int(graph.node_key_position[link]) for link in mine} == set(np.argsort(-pattern, kind="stable")[:2])
    x = prepared.run.layers[2].input[None]
    asks = attention.rotated_queries(attention.queries(x))[0, 5, 1]
    scores = attention.scoring.scale * (attention.rotated_keys(attention.keys(x))[0, :, 1] @ asks)
    visible = attention.visible(6, device=x.device)[5].numpy()
    keys = np.flatnonzero(visible)
    coefficient = integrated(np.zeros(len(keys)), scores.numpy()[keys], of=np.arange(len(keys)), soft_cap=1.0)
    for link in mine:
        key = int(graph.node_key_position[link])
        assert graph.node_activation[link] == pytest.approx(pattern[key])
        place = int(np.flatnonzero(keys == key)[0])
        part = graph.pair_attention[graph.pair_link == link].sum()
        pairs = graph.pair_score[graph.pair_link == link].sum()
        assert part == pytest.approx(coefficient.coefficient[place, place] * pairs, rel=1e-3, abs=1e-6)


def test_links_round_trip_through_the_file_and_leave_the_rest_of_the_graph_alone(tmp_path: Path) -> None:
    setup = make_setup(tmp_path / "model", "GPT2LMHeadModel", dtype="float32")
    plain, explained = (setup.trace(replace(each, dtype="float32")) for each in (WHOLE, EXPLAINED))
    read = from_bytes(to_bytes(explained), name="t")
    for name, column in explained.graph.arrays().items():
        np.testing.assert_array_equal(column, getattr(read.graph, name))
    for name, column in plain.graph.arrays().items():
        np.testing.assert_array_equal(column, getattr(explained.graph, name)[: len(column)])
    assert explained.metadata.scores.account_violation <= 1e-5
    assert explained.metadata.trace_id != plain.metadata.trace_id
    assert "explain_keys" not in plain.metadata.options


def test_a_device_with_little_memory_gets_fewer_rows_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    setup = make_setup(tmp_path / "model", "GPT2LMHeadModel")
    plain = setup.trace(EXPLAINED).graph
    traced = FrozenPaths.rows
    most = 3

    def rows(self: FrozenPaths, targets: Targets) -> RowBlock:
        # nodes of rows of queries and keys are counted from 0, as input tokens are, which are no targets
        if len(targets) > most and targets.node[0] == 0:
            raise torch.cuda.OutOfMemoryError("no room")
        return traced(self, targets)

    monkeypatch.setattr(FrozenPaths, "rows", rows)
    np.testing.assert_allclose(setup.trace(EXPLAINED).graph.pair_score, plain.pair_score, rtol=1e-6)
    most = 0
    with pytest.raises(ModelError, match="too little memory to explain attention over 5 positions of width 16"):
        setup.trace(EXPLAINED)


def test_a_head_or_position_that_is_not_there_is_refused(tmp_path: Path) -> None:
    setup = make_setup(tmp_path / "model", "GPT2LMHeadModel")
    with pytest.raises(
        InputError, match=r"a head must have a layer from 0 to 2 and an index from 0 to 1 .* got 0/2, 3/0"
    ):
        setup.trace(replace(WHOLE, explain_attention=((3, 0, -1), (0, 2, -1))))
    with pytest.raises(InputError, match=r"the query position of a head must be -6 to 5 on this prompt, got 0/0@6"):
        setup.trace(replace(WHOLE, explain_attention=((0, 0, 6),)))


def test_positions_from_the_end_name_the_same_link_once() -> None:
    assert TraceOptions(explain_attention=((1, 0, -1), (0, 1, 2), (1, 0, -1))).explain_attention == (
        (0, 1, 2),
        (1, 0, -1),
    )
