import gzip
import json
import math
from pathlib import Path

import numpy as np
import pytest

from circuitbase.graph.influence import input_share, node_influence
from circuitbase.ingest.foreign.importing import ImportOptions, imported_trace
from circuitbase.ingest.foreign.naming import Naming
from tests.ingest.foreign.graph_files import (
    AGES,
    EDGES,
    EMBEDDING,
    ERROR,
    FEATURE,
    FEATURES,
    N_LAYERS,
    OUTPUT,
    OUTPUTS,
    STRINGS,
    TOKENS,
    document,
    node_of,
)
from tests.ingest.foreign.reading import edges, nodes, refusal, trace_of, written

NEW = "Neuronpedia 2026"
OLD = "circuit-tracer with schema version 1"


@pytest.mark.parametrize("age", AGES)
def test_a_graph_of_any_age_gives_its_nodes_and_edges_collision_included(age: str, tmp_path: Path):
    trace = trace_of(document(age), tmp_path)
    assert sorted(nodes(trace)) == sorted([*FEATURE.values(), *ERROR.values(), *EMBEDDING, *OUTPUT.values()])
    assert edges(trace) == {(s, t): float(np.float32(weight)) for s, t, weight in EDGES}
    activation = dict(zip(nodes(trace), trace.graph.node_activation.tolist(), strict=True))
    assert {key: activation[FEATURE[key]] for key in FEATURES} == FEATURES
    assert trace.metadata.model.n_layers == N_LAYERS
    assert trace.metadata.warnings == (() if AGES[age].neuronpedia else trace.metadata.warnings)


def test_prompt_outputs_and_facts_come_from_the_file(tmp_path: Path):
    metadata = trace_of(document(NEW), tmp_path).metadata
    assert (metadata.prompt.text, metadata.prompt.token_ids) == ("The cat sat", TOKENS)
    assert metadata.prompt.token_strings == STRINGS
    assert [(t.token, t.token_string, t.probability, t.weight, t.position) for t in metadata.targets] == [
        (token, string, probability, probability, 3) for token, (string, probability) in OUTPUTS.items()
    ]
    assert (metadata.facts.top_token, metadata.facts.top_token_string, metadata.facts.top_probability) == (
        21,
        " on",
        0.625,
    )


def test_labels_supernodes_pins_and_their_influence_are_kept_apart(tmp_path: Path):
    trace = trace_of(document(OLD), tmp_path)
    imported = trace.metadata.imported
    assert imported is not None
    assert imported.labels == {"1_4_2": "cats"}
    assert imported.supernodes == (("animals", "1_4_2", "0_9_1"),)
    assert imported.pinned == ("1_4_2",)
    # the error of layer 1 by its id of today, beside the feature whose id it had
    assert imported.influence["1_-1_2"] == 0.7
    assert imported.influence["0_1_2"] == 0.25
    assert imported.stated["slug"] == "cat"
    assert not np.isin(trace.graph.node_influence, [np.float32(0.25), np.float32(0.7)]).any()


def test_influence_is_computed_anew_over_what_is_there(tmp_path: Path):
    graph = trace_of(document(NEW), tmp_path).graph
    weight = np.zeros(graph.n_nodes)
    weight[graph.node_kind == 3] = [0.625, 0.25]
    total = np.bincount(graph.edge_target, weights=np.abs(graph.edge_weight), minlength=graph.n_nodes)
    share = input_share(graph.edge_target, graph.edge_weight, total)
    expected = node_influence(graph.edge_source, graph.edge_target, share, weight)
    np.testing.assert_allclose(graph.node_influence, expected, atol=1e-7)
    target = total > 0
    np.testing.assert_allclose(graph.node_absolute_input[target], total[target], rtol=1e-6)


def test_what_only_an_account_knows_is_unknown(tmp_path: Path):
    trace = trace_of(document(NEW), tmp_path)
    graph, scores = trace.graph, trace.metadata.scores
    assert trace.metadata.unproven
    for column in (graph.node_preactivation, graph.node_bias_effect, graph.node_rest):
        assert np.isnan(column).all()
    assert np.isnan([scores.account_violation, scores.replacement, scores.completeness, scores.kept_mass]).all()
    assert 0 < scores.pruned_replacement < 1


def test_scan_names_the_model_in_neuronpedia_and_the_dictionary_in_circuit_tracer(tmp_path: Path):
    of_neuronpedia, of_circuit_tracer = (trace_of(document(age), tmp_path).metadata for age in (NEW, OLD))
    assert of_neuronpedia.dictionary is not None and of_circuit_tracer.dictionary is not None
    assert of_neuronpedia.model.name == "gemma-2-2b"
    assert of_neuronpedia.dictionary.name == "mntss-clt-gemma-2-2b-2.5M"
    assert of_circuit_tracer.dictionary.name == "gemma-2-2b"
    assert "does not name its model" in of_circuit_tracer.warnings[0]


def test_files_of_one_model_and_dictionary_share_their_units_and_others_do_not(tmp_path: Path):
    first = trace_of(document("Neuronpedia 2025"), tmp_path)
    # a raw graph names the model by its place on the hub
    options = ImportOptions(Naming(model_name="google/gemma-2-2b", dictionary_name="mntss/clt-gemma-2-2b-2.5M"))
    second, other = (
        trace_of(document(OLD), tmp_path, given)
        for given in (options, ImportOptions(Naming(model_name="google/gemma-2-2b")))
    )
    assert first.metadata.dictionary is not None and other.metadata.dictionary is not None
    assert first.metadata.model.id == second.metadata.model.id == other.metadata.model.id
    assert first.metadata.dictionary == second.metadata.dictionary
    assert first.metadata.dictionary.id != other.metadata.dictionary.id
    assert first.metadata.prompt_id == second.metadata.prompt_id


def test_lists_of_transcoders_are_named_alike_whatever_hash_the_file_shows(tmp_path: Path):
    metadata = [
        trace_of(document(OLD, scan=scan, transcoder_list=["a/l0", "a/l1"]), tmp_path).metadata
        for scan in ("custom--123", "custom-456")
    ]
    assert metadata[0].dictionary == metadata[1].dictionary
    assert metadata[0].dictionary is not None
    assert metadata[0].dictionary.name.startswith("custom-")


def test_thresholds_and_format_make_the_configuration(tmp_path: Path):
    metadata = trace_of(document(NEW), tmp_path).metadata
    assert metadata.options == {
        "imported": "Neuronpedia JSON",
        "prune": True,
        "node_threshold": 0.8,
        "edge_threshold": 0.98,
        "max_features": 5000,
    }
    assert metadata.request == {"kind": "imported", "max_n_logits": 10, "desired_logit_prob": 0.95}
    other = document(NEW)
    other["metadata"]["pruning_settings"]["node_threshold"] = 0.5
    assert trace_of(other, tmp_path).metadata.configuration_id != metadata.configuration_id


def test_other_outputs_of_the_same_prompt_are_another_trace_of_the_same_configuration(tmp_path: Path):
    found = document(NEW)
    first = trace_of(found, tmp_path).metadata
    found["nodes"] = [node for node in found["nodes"] if node["node_id"] != "4_33_3"]
    found["links"] = [link for link in found["links"] if link["target"] != "4_33_3"]
    second = trace_of(found, tmp_path).metadata
    assert first.configuration_id == second.configuration_id
    assert first.trace_id != second.trace_id


def test_a_single_link_from_a_shared_id_to_a_later_layer_is_reported_and_left_out(tmp_path: Path):
    found = document(OLD)
    of_both = [link for link in found["links"] if (link["source"], link["target"]) == ("0_1_2", "2_7_3")]
    found["links"].remove(of_both[1])
    trace = trace_of(found, tmp_path)
    (said,) = [each for each in trace.metadata.warnings if "0_1_2" in each]
    assert "0_1_2 → 2_7_3 of weight 0.45" in said
    assert "feature 1 of layer 0" in said and "the error of layer 1" in said
    left = edges(trace)
    assert (FEATURE[0, 1, 2], FEATURE[2, 7, 3]) not in left and (ERROR[1, 2], FEATURE[2, 7, 3]) not in left
    assert left[FEATURE[0, 1, 2], FEATURE[1, 4, 2]] == pytest.approx(0.3)


def test_a_shared_id_among_pins_means_the_feature(tmp_path: Path):
    found = document(OLD)
    found["qParams"]["pinnedIds"] = ["0_1_2", "9_9_9"]
    metadata = trace_of(found, tmp_path).metadata
    assert metadata.imported is not None
    assert metadata.imported.pinned == ("0_1_2",)
    assert any("9_9_9" in said for said in metadata.warnings)


def test_gzipped_files_and_bare_nan_are_read(tmp_path: Path):
    found = document(NEW)
    node_of(found, "1_4_2")["influence"] = math.nan
    found["metadata"]["info"]["cost"] = math.nan
    place = tmp_path / "graph.json.gz"
    place.write_bytes(gzip.compress(json.dumps(found).encode()))
    assert b"NaN" in gzip.decompress(place.read_bytes())
    trace = imported_trace(str(place), ImportOptions())
    assert trace.metadata.imported is not None
    assert "1_4_2" not in trace.metadata.imported.influence
    assert trace.metadata.imported.stated["info"]["cost"] is None


def test_features_without_activations_stand_with_nothing_and_are_not_silent(tmp_path: Path):
    found = document(NEW)
    for node in found["nodes"]:
        node["activation"] = None
    node_of(found, "0_9_1")["activation"] = 0.0
    trace = trace_of(found, tmp_path)
    assert "3 features have no activation in the file, and stand with 0" in trace.metadata.warnings
    silent = [node for node, is_silent in zip(nodes(trace), trace.graph.node_silent, strict=True) if is_silent]
    assert silent == [FEATURE[0, 9, 1]]
    assert len(trace.graph.active_unit) == 3


def test_links_of_no_weight_are_none_and_empty_parameters_are_accepted(tmp_path: Path):
    found = document(NEW)
    found["links"].append({"source": "E_17_1", "target": "4_21_3", "weight": 0})
    found["qParams"] = {}
    trace = trace_of(found, tmp_path)
    assert trace.graph.n_edges == len(EDGES)
    assert trace.metadata.imported is not None
    assert trace.metadata.imported.supernodes == ()


def without(name: str) -> dict:
    found = document(NEW)
    del found[name]
    return found


def changed(node: str, **values: object) -> dict:
    found = document(NEW)
    node_of(found, node).update(values)
    return found


def linked(**values: object) -> dict:
    found = document(NEW)
    found["links"][0].update(values)
    return found


def less(node: str) -> dict:
    found = document(NEW)
    found["nodes"] = [each for each in found["nodes"] if not each["node_id"].startswith(node)]
    found["links"] = [link for link in found["links"] if not (link["source"] + link["target"]).count(node)]
    return found


def twice(part: str) -> dict:
    found = document(NEW)
    found[part].append(found[part][0])
    return found


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (without("metadata"), "`metadata` should be an object, got None"),
        (without("nodes"), "`nodes` should be a list, got None"),
        (document(NEW, prompt_tokens="no"), "`metadata.prompt_tokens` should be a list of texts, got 'no'"),
        (changed("1_4_2", feature=5), "node 1_4_2 has feature number 5, but in schema version 1 it is 19"),
        (changed("1_4_2", feature_type="lorsa"), "node 1_4_2 has feature_type 'lorsa'"),
        (changed("1_4_2", layer="2"), "node 1_4_2 says layer 2 and position 2, which its id contradicts"),
        (changed("1_4_2", layer=None), "node 1_4_2 should have a layer from 0, got None"),
        (
            changed("1_-1_2", node_id="x"),
            "the error of layer 1 at position 2 should be called 1_-1_2 or 0_1_2, got 'x'",
        ),
        (changed("E_17_1", node_id="E_17_2"), "an embedding at position 1 should be called E_TOKEN_1"),
        (changed("4_21_3", ctx_idx=True), "node 4_21_3 should have ctx_idx of type int, got True"),
        (less("4_"), "it has no logit node"),
        (less("E_17"), "none at position 1"),
        (twice("nodes"), "stands twice"),
        (twice("links"), "the link E_17_1 → 0_9_1 stands twice"),
        (linked(source="7_7_7"), "link 0 names a node '7_7_7' that is not there"),
        (linked(weight=math.nan), "link 0 should have a finite weight, got nan"),
        (linked(weight="1"), "link 0 should have a finite weight, got '1'"),
        (linked(source="4_21_3"), "an attribution graph must have no cycle"),
        (linked(source="4_21_3", target="4_33_3"), "an output node must have no out-edges"),
        (linked(source="E_8_3", target="0_1_2"), "an edge must not run to an earlier position"),
    ],
)
def test_what_is_wrong_with_a_graph_is_one_sentence(found: dict, said: str, tmp_path: Path):
    sentence = refusal(written(found, tmp_path))
    assert said in sentence
    assert "is not a consistent graph file" in sentence


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"metadata": {"slug": "a"', "is truncated or no graph file (as JSON:"),
        (b"", "is truncated or no graph file"),
        (b"\x1f\x8b\x08\x00abc", "is truncated or no graph file"),
        (b"[1, 2]", "its JSON should be an object with nodes and links, got a list"),
        (b'{"a": 1}', "it has no `links`"),
        (b'{"edges": {}, "cfg": {}}', "holds scores of edges between components"),
        (b'{"graphs": []}', "is a list of graphs"),
    ],
)
def test_what_is_no_graph_is_one_sentence(content: bytes, said: str, tmp_path: Path):
    place = tmp_path / "graph.json"
    place.write_bytes(content)
    assert said in refusal(str(place))
