"""Edges and accounts against the frozen model computed independently."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from circuitbase.errors import InputError
from circuitbase.graph.consistency import problems
from circuitbase.graph.edge_blocks import all_edges
from circuitbase.schema.kinds import OUTPUT_KINDS, NodeKind
from circuitbase.store.trace_file import from_bytes, to_bytes
from circuitbase.tracing.assembly import assemble
from circuitbase.tracing.attribution import rows_and_left_out
from circuitbase.tracing.options import RoleTarget, TraceOptions
from circuitbase.tracing.plan import plan
from circuitbase.tracing.prompt_batches import asked_prompts, prepared_prompts
from tests.tiny_models import PROMPT, WORDS
from tests.tracing.cases import CASES, WHOLE, Case, K, Loaded, dense, keys, loaded
from tests.tracing.frozen_reference import FrozenReference


def whole_effects(found: Loaded, *, prompt: str = PROMPT, block_numbers: int = 2**20):
    """Returns nodes and effects in the dtype of the model, before anything is rounded to float32."""
    read = found.model.tokenizer.read(prompt)
    options = replace(WHOLE, dtype=found.model.dtype)
    asked = asked_prompts(found.model, found.dictionary, [read], options, targets=None)
    (prepared,) = prepared_prompts(found.model, found.dictionary, asked, options)
    rows, left_out = rows_and_left_out(prepared, options, block_numbers=block_numbers)
    graph = assemble(prepared.nodes, rows, prepared.layers, left_out=left_out, options=options).graph
    return read, prepared.nodes, rows, graph


def reference(found: Loaded, case: Case, tokens: tuple[int, ...]) -> FrozenReference:
    return FrozenReference(found.model_folder, found.dictionary_folder, tokens, reads=case.reads)


def matrix(nodes, effects) -> np.ndarray:
    full, edges = np.zeros((len(nodes), len(nodes))), all_edges(effects.blocks)
    full[edges.target, edges.source] = edges.weight
    return full


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_edge_is_what_its_source_adds_in_the_frozen_model_in_float64(case: Case, tmp_path: Path) -> None:
    found = loaded(tmp_path, case)
    read, nodes, effects, graph = whole_effects(found)
    independent = reference(found, case, read.token_ids)
    expected = independent.edges(graph)
    assert np.abs(matrix(nodes, effects) - expected).max() <= 1e-10 * np.abs(expected).max()
    bias, targets = independent.bias_effects(graph), nodes.is_target
    assert np.abs(effects.bias_effect - bias)[targets].max() <= 1e-10 * np.abs(bias[targets]).max()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_edge_is_what_its_source_adds_in_the_frozen_model_in_float32(case: Case, tmp_path: Path) -> None:
    found = loaded(tmp_path, case, dtype="float32")
    read, nodes, effects, graph = whole_effects(found)
    expected = reference(found, case, read.token_ids).edges(graph)
    assert np.abs(matrix(nodes, effects) - expected).max() <= 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize("case", CASES[2:6], ids=str)
def test_adding_a_write_to_the_frozen_run_moves_every_read_by_its_column(case: Case, tmp_path: Path) -> None:
    found = loaded(tmp_path, case)
    read, nodes, effects, graph = whole_effects(found)
    independent, full = reference(found, case, read.token_ids), matrix(nodes, effects)
    sources = np.flatnonzero(~np.isin(nodes.kind, OUTPUT_KINDS))
    for source in sources[:: max(1, len(sources) // 12)]:
        moved = independent.moved_by(graph, int(source))
        assert np.abs(full[:, source] - moved)[nodes.is_target].max() <= 1e-9 * np.abs(full).max()


def test_every_edge_is_the_derivative_of_the_frozen_model(tmp_path: Path) -> None:
    found = loaded(tmp_path, CASES[3])
    read, nodes, effects, graph = whole_effects(found)
    expected = reference(found, CASES[3], read.token_ids).derivatives(graph)
    assert np.abs(matrix(nodes, effects) - expected).max() <= 1e-10 * np.abs(expected).max()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_nodes_are_exactly_the_active_features_and_one_error_per_place(case: Case, tmp_path: Path) -> None:
    found = loaded(tmp_path, case)
    result = found.trace(WHOLE)
    graph, tokens = result.graph, result.metadata.prompt.token_ids
    independent = reference(found, case, tokens)
    first = 1 if case.bos else 0
    expected = {
        (layer, position, unit): independent.activations(layer, k=K if case.activation == "topk" else None)[
            position, unit
        ]
        for layer in range(case.n_layers)
        for position, unit in torch.nonzero(independent.activations(layer, k=K if case.activation == "topk" else None))
        .numpy()
        .tolist()
        if position >= first
    }
    is_feature = graph.node_kind == NodeKind.FEATURE
    assert [key[1:] for key in np.array(keys(graph), dtype=object)[is_feature].tolist()] == [
        list(k) for k in sorted(expected)
    ]
    for key, value in zip(sorted(expected), graph.node_activation[is_feature], strict=True):
        assert value == pytest.approx(float(expected[key]), rel=1e-6)
    errors = [key[1:3] for key in keys(graph) if key[0] == NodeKind.LAYER_ERROR]
    assert errors == [(layer, p) for layer in range(case.n_layers) for p in range(first, len(tokens))]
    assert np.array_equal(graph.active_unit, graph.node_unit[is_feature])
    assert np.array_equal(graph.active_value, graph.node_activation[is_feature])


def test_topk_keeps_negative_preactivations_among_the_largest(tmp_path: Path) -> None:
    graph = loaded(tmp_path, Case(activation="topk")).trace(WHOLE).graph
    features = graph.node_kind == NodeKind.FEATURE
    per_place = np.unique(np.stack([graph.node_layer, graph.node_position])[:, features], axis=1, return_counts=True)[1]
    assert set(per_place.tolist()) == {K}


@pytest.mark.parametrize("prune", [True, False])
@pytest.mark.parametrize(("dtype", "bound"), [("float32", 1e-5), ("float64", 1e-11)])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_account_of_every_target_closes(case: Case, dtype: str, bound: float, prune: bool, tmp_path: Path) -> None:
    result = loaded(tmp_path, case, dtype=dtype).trace(TraceOptions(dtype=dtype, prune=prune))  # type: ignore[arg-type]
    assert result.metadata.scores.account_violation <= bound
    assert result.metadata.scores.stored_account_violation <= 1e-5


def test_a_stored_account_closes_when_summed_by_hand(tmp_path: Path) -> None:
    graph = loaded(tmp_path).trace(TraceOptions(dtype="float64")).graph
    for node in np.flatnonzero(np.isfinite(graph.node_preactivation)):
        stored = graph.edge_weight[graph.edge_target == node].astype(np.float64).sum()
        read = stored + graph.node_rest[node] + graph.node_bias_effect[node]
        size = graph.node_absolute_input[node] + abs(graph.node_bias_effect[node])
        assert abs(read - graph.node_preactivation[node]) <= 1e-6 * size


@pytest.mark.parametrize("case", CASES[:4], ids=str)
def test_a_pruned_graph_is_a_part_of_the_whole_one(case: Case, tmp_path: Path) -> None:
    found = loaded(tmp_path, case)
    whole, part = found.trace(replace(WHOLE)), found.trace(replace(WHOLE, prune=True))
    place = {key: index for index, key in enumerate(keys(whole.graph))}
    rows = [place[key] for key in keys(part.graph)]
    assert 0 < part.graph.n_nodes < whole.graph.n_nodes
    inside, pruned = dense(whole.graph)[np.ix_(rows, rows)], dense(part.graph)
    assert np.array_equal(pruned[pruned != 0], inside[pruned != 0])
    for name in ("node_activation", "node_influence", "node_preactivation", "node_bias_effect", "node_absolute_input"):
        assert np.array_equal(getattr(part.graph, name), getattr(whole.graph, name)[rows], equal_nan=True)
    assert part.metadata.counts == whole.metadata.counts
    assert part.metadata.scores.replacement == whole.metadata.scores.replacement
    assert np.array_equal(part.graph.active_value, whole.graph.active_value)


def test_rest_is_what_pruning_took_from_each_target(tmp_path: Path) -> None:
    found = loaded(tmp_path)
    whole, part = found.trace(replace(WHOLE)), found.trace(replace(WHOLE, prune=True))
    sums = dict(zip(keys(whole.graph), dense(whole.graph).sum(1), strict=True))
    for key, kept, rest in zip(keys(part.graph), dense(part.graph).sum(1), part.graph.node_rest, strict=True):
        if np.isfinite(rest):
            assert kept + rest == pytest.approx(sums[key], abs=1e-5)


def test_blocks_of_any_size_give_the_same_edges(tmp_path: Path) -> None:
    found = loaded(tmp_path, CASES[2], dtype="float32")
    _, nodes, effects, _ = whole_effects(found)
    _, _, one_by_one, _ = whole_effects(found, block_numbers=1)
    together, apart = matrix(nodes, effects), matrix(nodes, one_by_one)
    assert np.array_equal(together != 0, apart != 0)
    assert np.abs(together - apart).max() <= 1e-6 * np.abs(together).max()
    assert np.abs(effects.bias_effect - one_by_one.bias_effect).max() <= 1e-6 * np.abs(effects.bias_effect).max()
    assert len(nodes) > 100


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    words=st.lists(st.sampled_from(WORDS), min_size=1, max_size=8),
    case=st.builds(
        Case,
        activation=st.sampled_from(["relu", "topk", "jumprelu"]),
        skip=st.booleans(),
        reads=st.sampled_from(["mlp.hook_in", "hook_resid_mid", "ln2.hook_normalized"]),
        bos=st.booleans(),
        n_layers=st.integers(1, 3),
        n_heads=st.sampled_from([1, 2, 4]),
        seed=st.integers(0, 50),
    ),
    block_numbers=st.sampled_from([1, 300, 2**20]),
)
def test_edges_and_accounts_are_exact_on_random_models(
    words: list[str], case: Case, block_numbers: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    found = loaded(tmp_path_factory.mktemp("random"), case)
    read, nodes, effects, graph = whole_effects(found, prompt=" ".join(words), block_numbers=block_numbers)
    expected = reference(found, case, read.token_ids).edges(graph)
    assert np.abs(matrix(nodes, effects) - expected).max() <= 1e-9 * np.abs(expected).max()
    assert found.trace(WHOLE, prompt=" ".join(words)).metadata.scores.account_violation <= 1e-11


def test_outputs_are_the_most_probable_tokens_up_to_the_mass_asked_for(tmp_path: Path) -> None:
    found = loaded(tmp_path)
    result = found.trace(replace(WHOLE, output_probability=0.9))
    logits = reference(found, Case(), result.metadata.prompt.token_ids).logits
    ranked = logits.softmax(-1).sort(descending=True)
    covered = ranked.values.cumsum(0)
    n = min(10, int((covered < 0.9).sum()) + 1)
    assert [target.token for target in result.metadata.targets] == ranked.indices[:n].tolist()
    assert [target.weight for target in result.metadata.targets] == pytest.approx(ranked.values[:n].tolist())
    outputs = result.graph.node_kind == NodeKind.OUTPUT_TOKEN
    assert result.graph.node_unit[outputs].tolist() == sorted(ranked.indices[:n].tolist())
    expected = logits[result.graph.node_unit[outputs]] - logits.mean()
    assert result.graph.node_preactivation[outputs] == pytest.approx(expected.numpy(), rel=1e-5)


def test_at_most_as_many_outputs_as_asked_for(tmp_path: Path) -> None:
    result = loaded(tmp_path).trace(replace(WHOLE, output_probability=1.0, max_outputs=3))
    assert len(result.metadata.targets) == 3


def test_a_role_output_is_the_difference_of_its_two_tokens(tmp_path: Path) -> None:
    found, options = loaded(tmp_path), replace(WHOLE, target="roles")
    both = found.trace(options, roles=(RoleTarget("answer-distractor", 5, 6),)).graph
    single = found.trace(options, roles=(RoleTarget("answer", 5), RoleTarget("distractor", 6))).graph
    answer, distractor = dense(single)[-2:]
    assert np.abs(dense(both)[-1, :-1] - (answer - distractor)[:-2]).max() <= 1e-6 * np.abs(answer).max()
    assert both.node_kind[-1] == NodeKind.OTHER_OUTPUT
    assert both.node_preactivation[-1] == pytest.approx(
        single.node_preactivation[-2] - single.node_preactivation[-1], abs=1e-5
    )


def test_facts_tell_how_the_answer_did(tmp_path: Path) -> None:
    found = loaded(tmp_path)
    plain = found.trace(WHOLE)
    assert plain.metadata.facts.answer_rank is None
    top, second = (target.token for target in plain.metadata.targets[:2])
    facts = found.trace(
        replace(WHOLE, target="roles"), roles=(RoleTarget("answer-distractor", second, top),)
    ).metadata.facts
    assert (facts.answer_rank, facts.correct, facts.top_token) == (2, False, top)
    assert facts.logit_difference is not None
    assert facts.logit_difference < 0
    assert found.trace(replace(WHOLE, target="roles"), roles=(RoleTarget("answer", top),)).metadata.facts.correct


def test_a_trace_has_the_ids_that_were_planned(tmp_path: Path) -> None:
    found = loaded(tmp_path, dtype="float32")
    prompt = found.model.tokenizer.read(PROMPT)
    for options, roles in (
        (TraceOptions(), ()),
        (TraceOptions(prune=False), (RoleTarget("answer", 4),)),
        (TraceOptions(target="roles"), (RoleTarget("answer-distractor", 4, 5),)),
    ):
        planned = plan(found.model.identity, found.dictionary.identity, prompt, roles, options)
        metadata = found.trace(options, roles=roles).metadata
        assert (metadata.trace_id, metadata.configuration_id, metadata.prompt_id) == (
            planned.trace_id,
            planned.configuration_id,
            planned.prompt_id,
        )


def test_what_a_set_says_of_the_answer_does_not_change_a_trace_of_the_probable_tokens(tmp_path: Path) -> None:
    found = loaded(tmp_path, dtype="float32")
    assert to_bytes(found.trace(TraceOptions())) == to_bytes(
        found.trace(TraceOptions(), roles=(RoleTarget("answer", 4),))
    )


@pytest.mark.parametrize("case", CASES[:4], ids=str)
def test_a_prompt_traced_again_gives_the_same_bytes(case: Case, tmp_path: Path) -> None:
    first = to_bytes(loaded(tmp_path, case, dtype="float32").trace(TraceOptions()))
    found = loaded(tmp_path, case, dtype="float32")
    found.trace(TraceOptions(), prompt="gamma delta of the omega")
    assert to_bytes(found.trace(TraceOptions())) == first


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_file_of_a_trace_reads_back_without_a_problem(case: Case, tmp_path: Path) -> None:
    result = loaded(tmp_path, case, dtype="float32").trace(TraceOptions())
    again = from_bytes(to_bytes(result), name="trace")
    assert again.metadata == result.metadata
    graph = again.graph
    assert problems(graph, n_layers=case.n_layers, n_positions=6, n_targets=len(result.metadata.targets)) == []


def test_positions_without_nodes_have_only_their_token(tmp_path: Path) -> None:
    found = loaded(tmp_path)
    graph = found.trace(WHOLE, without_nodes=(2,)).graph
    at = np.isin(graph.node_position, (0, 2))
    assert set(graph.node_kind[at].tolist()) == {int(NodeKind.INPUT_TOKEN)}
    assert not np.isin(graph.active_position, (0, 2)).any()
    assert found.trace(WHOLE, without_nodes=(2,)).metadata.scores.account_violation <= 1e-11


@pytest.mark.parametrize("prune", [True, False])
def test_a_prompt_on_which_no_feature_fires_is_explained_by_tokens_and_errors(prune: bool, tmp_path: Path) -> None:
    case = Case(activation="jumprelu")
    _, folder = case.write(tmp_path)
    for layer in range(case.n_layers):
        arrays = load_file(folder / f"layer_{layer}.safetensors")
        arrays["activation_function.threshold"][...] = 1e6
        save_file(arrays, folder / f"layer_{layer}.safetensors")
    result = loaded(tmp_path, case).trace(replace(WHOLE, prune=prune))
    assert not (result.graph.node_kind == NodeKind.FEATURE).any()
    assert len(result.graph.active_unit) == 0
    assert result.metadata.scores.account_violation <= 1e-11
    assert from_bytes(to_bytes(result), name="trace").metadata == result.metadata


def test_a_dictionary_that_explains_nothing_is_said_in_the_trace(tmp_path: Path) -> None:
    warnings = loaded(tmp_path).trace(WHOLE).metadata.warnings
    assert any("the dictionary explains less than nothing of this prompt" in sentence for sentence in warnings)


def test_a_word_the_tokenizer_does_not_know_is_said_in_the_trace(tmp_path: Path) -> None:
    result = loaded(tmp_path).trace(WHOLE, prompt="the zonk of beta")
    assert "the tokenizer does not know the text at position 2" in result.metadata.warnings[0]


def test_a_model_in_another_dtype_than_the_options_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the model must be loaded in the dtype of the options, float32, got float64"):
        loaded(tmp_path).trace(TraceOptions())


def test_role_outputs_need_an_answer(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="needs an answer"):
        loaded(tmp_path).trace(replace(WHOLE, target="roles"))
