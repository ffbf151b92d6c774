import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from circuitbase.graph.reached_influence import cumulative_influence
from circuitbase.graph.trace import Trace
from circuitbase.ingest.foreign.cutting import Cutting
from circuitbase.ingest.foreign.importing import ImportOptions, imported_trace
from tests.ingest.foreign.graph_files import EDGES, EMBEDDING, ERROR, FEATURE, OUTPUT, TOKENS
from tests.ingest.foreign.raw_files import LogitTarget, raw_graph, save_2025, save_2026
from tests.ingest.foreign.reading import edges, nodes, refusal

FULL = ImportOptions(cutting=Cutting(prune=False))


@pytest.fixture
def whole(tmp_path: Path) -> Trace:
    return imported_trace(save_2026(tmp_path / "raw.pt"), FULL)


def test_a_raw_graph_gives_its_nodes_and_edges_and_every_active_feature(whole: Trace):
    assert edges(whole) == {(s, t): float(np.float32(weight)) for s, t, weight in EDGES}
    assert {*FEATURE.values(), *ERROR.values(), *EMBEDDING, *OUTPUT.values()} <= set(nodes(whole))
    assert (1, 1, 30, 0.125) in list(
        zip(
            whole.graph.active_layer.tolist(),
            whole.graph.active_position.tolist(),
            whole.graph.active_unit.tolist(),
            whole.graph.active_value.tolist(),
            strict=True,
        )
    )
    assert whole.metadata.counts.active_features == 5


def test_a_position_without_features_whose_errors_do_nothing_has_no_nodes(whole: Trace):
    assert whole.metadata.prompt.positions_without_nodes == (0,)
    assert ("error", 0, 0, 0) not in nodes(whole)
    assert ("error", 2, 0, 3) in nodes(whole)
    assert ("embedding", -1, TOKENS[0], 0) in nodes(whole)


def test_it_says_of_which_model_and_dictionary_it_is(whole: Trace):
    model, dictionary = whole.metadata.model, whole.metadata.dictionary
    assert dictionary is not None
    assert (model.name, model.n_layers, model.d_model, model.d_vocab) == ("gemma-2-2b", 3, 2304, 256_000)
    assert model.architecture == "Gemma2ForCausalLM"
    assert dictionary.name == "mntss-gemma-scope-transcoders"


def test_its_scores_are_those_of_the_whole_graph_and_its_account_is_unknown(whole: Trace):
    scores, graph = whole.metadata.scores, whole.graph
    assert scores.replacement == pytest.approx(scores.pruned_replacement)
    assert scores.completeness == pytest.approx(scores.pruned_completeness)
    assert 0 < scores.completeness < 1
    # one active feature is no node, so nobody knows what it carries
    assert np.isnan([scores.account_violation, scores.stored_account_violation, scores.kept_mass]).all()
    target = np.isfinite(graph.node_absolute_input)
    np.testing.assert_allclose(graph.node_rest[target], 0, atol=1e-6)
    assert np.isnan(graph.node_bias_effect).all()


def test_it_is_pruned_as_traces_of_ours_are_and_what_is_lost_is_in_the_rest(whole: Trace, tmp_path: Path):
    place = save_2026(tmp_path / "raw.pt")
    found = imported_trace(place, ImportOptions(cutting=Cutting(node_threshold=0.6, edge_threshold=0.8)))
    kept = edges(found)
    assert len(kept) < len(EDGES)
    assert kept.items() <= edges(whole).items()
    assert found.metadata.options["node_threshold"] == 0.6
    assert found.metadata.counts == whole.metadata.counts
    assert found.metadata.scores.replacement == whole.metadata.scores.replacement
    graph = found.graph
    net = np.bincount(graph.edge_target, weights=graph.edge_weight, minlength=graph.n_nodes)
    for node, (name, rest) in enumerate(zip(nodes(found), graph.node_rest.tolist(), strict=True)):
        if np.isfinite(rest):
            everything = sum(weight for (_, target), weight in edges(whole).items() if target == name)
            assert net[node] + rest == pytest.approx(everything, abs=1e-6)


def test_the_share_of_influence_reached_is_that_of_the_whole_graph_also_after_pruning(whole: Trace, tmp_path: Path):
    options = ImportOptions(cutting=Cutting(node_threshold=0.5, edge_threshold=0.9))
    pruned = imported_trace(save_2026(tmp_path / "raw.pt"), options)
    of_whole = dict(zip(nodes(whole), cumulative_influence(whole).tolist(), strict=True))
    assert max(of_whole.values()) == pytest.approx(1)
    of_pruned = dict(zip(nodes(pruned), cumulative_influence(pruned).tolist(), strict=True))
    assert len(of_pruned) < len(of_whole)
    kept = [node for node in of_pruned if of_whole[node] <= 0.5]
    assert len(kept) >= 2
    assert [of_pruned[node] for node in kept] == pytest.approx([of_whole[node] for node in kept], rel=1e-5)


def test_files_of_2025_are_read_too(whole: Trace, tmp_path: Path):
    found = imported_trace(save_2025(tmp_path / "raw.pt"), FULL)
    assert edges(found) == edges(whole)
    assert nodes(found) == nodes(whole)
    assert found.metadata.model.id == whole.metadata.model.id
    assert found.metadata.dictionary is not None
    assert found.metadata.dictionary.name.startswith("custom-")


def test_outputs_show_their_text_and_tokens_of_the_prompt_their_ids(whole: Trace):
    assert [target.token_string for target in whole.metadata.targets] == [" on", " up"]
    assert whole.metadata.prompt.token_strings[1] == "<17>"
    assert any("no token strings" in said for said in whole.metadata.warnings)


def test_a_target_beyond_the_vocabulary_is_a_direction_with_a_name(tmp_path: Path):
    targets = [LogitTarget(" on", 21), LogitTarget("cat - dog", 256_000)]
    trace = imported_trace(save_2026(tmp_path / "raw.pt", logit_targets=targets), FULL)
    token, custom = trace.metadata.targets
    assert (token.kind, token.token) == ("token", 21)
    assert (custom.kind, custom.name, custom.weight) == ("direction", "cat - dog", 0.25)
    assert nodes(trace)[-1] == ("RoleOutput", 3, 1, 3)


def test_no_class_of_the_writers_is_ever_imported(tmp_path: Path):
    imported_trace(save_2026(tmp_path / "raw.pt"), FULL)
    assert not [name for name in sys.modules if name.split(".")[0] in ("circuit_tracer", "transformer_lens")]


class Runs:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch ran",)


def test_a_pickle_that_would_run_something_is_refused_and_runs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    said = refusal(save_2026(tmp_path / "raw.pt", extra=Runs()))
    assert "holds a pickled posix.system, and nothing of it was run" in said
    assert not (tmp_path / "ran").exists()


def raw(**changes: Any) -> dict[str, Any]:
    return changes


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (raw(active_features=None, activation_values=None), "it lacks active_features, activation_values"),
        (raw(adjacency_matrix=torch.zeros(5, 6)), "adjacency_matrix should be [22, 22] for 4 features, 3 layers"),
        (raw(active_features=torch.zeros(5, 2)), "active_features should be [active, 3], got [5, 2]"),
        (raw(activation_values=torch.zeros(4)), "activation_values should be [5], as active_features, got [4]"),
        (raw(selected_features=torch.tensor([0, 1, 2, 9])), "selected_features should name the 5 active features"),
        (raw(selected_features=torch.tensor([0, 1, 2, 2])), "selected_features should name each feature once"),
        (raw(logit_probabilities=torch.ones(3)), "2 logits should have as many probabilities, got 3"),
        (raw(logit_targets=3), "it should say where it ends by logit_tokens or logit_targets, got 3"),
        (raw(cfg={}), "`cfg` should say how many layers there are, got None"),
        (raw(adjacency_matrix=raw_graph()["adjacency_matrix"].T), "nothing may act on an error or an embedding"),
        (raw(adjacency_matrix=raw_graph()["adjacency_matrix"] * torch.inf), "nothing may act"),
    ],
)
def test_what_is_wrong_with_a_raw_graph_is_one_sentence(changes: dict[str, Any], said: str, tmp_path: Path):
    assert said in refusal(save_2026(tmp_path / "raw.pt", **changes))


def test_an_edge_to_an_earlier_layer_and_a_weight_that_is_no_number_are_refused(tmp_path: Path):
    matrix = raw_graph()["adjacency_matrix"]
    matrix[0, 3] = 1.0
    assert "an edge runs to its own or an earlier layer" in refusal(
        save_2026(tmp_path / "back.pt", adjacency_matrix=matrix)
    )
    matrix[0, 3] = torch.nan
    assert "adjacency_matrix should be finite" in refusal(save_2026(tmp_path / "nan.pt", adjacency_matrix=matrix))


def test_a_truncated_file_and_another_torch_file_are_refused(tmp_path: Path):
    whole = Path(save_2026(tmp_path / "raw.pt")).read_bytes()
    (tmp_path / "half.pt").write_bytes(whole[: len(whole) // 2])
    assert "is truncated or no torch file" in refusal(str(tmp_path / "half.pt"))
    torch.save({"edges_scores": torch.zeros(2)}, tmp_path / "other.pt")
    assert "should hold a dictionary with an adjacency_matrix" in refusal(str(tmp_path / "other.pt"))
    torch.save(torch.zeros(2), tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    assert "should hold a dictionary" in refusal(str(tmp_path / "old.pt"))
