import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from circuitbase.errors import InputError
from circuitbase.graph.reached_influence import cumulative_influence
from circuitbase.graph.trace import Trace
from circuitbase.ingest.foreign.document_check import document_problems
from circuitbase.ingest.foreign.document_metadata import GraphForm
from circuitbase.ingest.foreign.graph_writer import graph_document
from circuitbase.schema.kinds import NodeKind
from circuitbase.tracing.options import TraceOptions
from tests.ingest.foreign.graph_files import AGES, document, node_of
from tests.ingest.foreign.reading import edges, nodes, trace_of
from tests.synthetic import synthetic_trace, with_links

FORMS: tuple[GraphForm, ...] = ("neuronpedia", "circuit-tracer")
OWN = synthetic_trace(3)


def unit_ids(trace: Trace) -> list[str]:
    graph = trace.graph
    columns = (graph.node_kind.tolist(), graph.node_layer.tolist(), graph.node_unit.tolist())
    return [trace.unit_id(NodeKind(kind), layer, unit) for kind, layer, unit in zip(*columns, strict=True)]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("target", ["probable", "roles"])
def test_a_trace_of_ours_comes_back_with_its_units_and_edges(form: GraphForm, target: str, tmp_path: Path):
    trace = synthetic_trace(3, options=TraceOptions(target=target))  # type: ignore[arg-type]
    found = graph_document(trace, form=form)
    assert document_problems(found) == []
    again = trace_of(json.loads(json.dumps(found, allow_nan=False)), tmp_path)
    assert unit_ids(again) == unit_ids(trace)
    assert edges(again) == edges(trace)
    for column in ("node_position", "node_activation"):
        np.testing.assert_array_equal(getattr(again.graph, column), getattr(trace.graph, column))
    assert again.metadata.targets == trace.metadata.targets
    assert again.metadata.prompt_id == trace.metadata.prompt_id
    assert again.metadata.prompt.positions_without_nodes == (0,)
    assert (again.metadata.model, again.metadata.dictionary) == (trace.metadata.model, trace.metadata.dictionary)
    assert again.metadata.unproven and again.metadata.configuration_id != trace.metadata.configuration_id


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("age", AGES)
def test_an_imported_graph_goes_out_and_comes_in_again_the_same(age: str, form: GraphForm, tmp_path: Path):
    trace = trace_of(document(age), tmp_path)
    found = graph_document(trace, form=form)
    assert document_problems(found) == []
    again = trace_of(json.loads(json.dumps(found, allow_nan=False)), tmp_path)
    assert nodes(again) == nodes(trace)
    assert edges(again) == edges(trace)
    assert unit_ids(again) == unit_ids(trace)
    before, after = trace.metadata.imported, again.metadata.imported
    assert before is not None and after is not None
    for name in ("labels", "supernodes", "pinned", "influence"):
        assert getattr(after, name) == getattr(before, name)
    np.testing.assert_array_equal(again.graph.node_influence, trace.graph.node_influence)
    if AGES[age].neuronpedia == (form == "neuronpedia"):
        assert again.metadata.trace_id == trace.metadata.trace_id
        assert after.stated.keys() >= before.stated.keys()


def test_what_goes_out_is_of_the_newest_form(tmp_path: Path):
    found = graph_document(trace_of(document("circuit-tracer 2025, bare numbers"), tmp_path))
    assert found["metadata"]["schema_version"] == 1
    assert node_of(found, "1_4_2")["feature"] == 19
    assert node_of(found, "1_4_2")["clerp"] == "cats"
    error = node_of(found, "1_-1_2")
    assert (error["feature"], error["layer"], error["jsNodeId"]) == (-1, "1", "1_-1-2")
    assert node_of(found, "4_21_3")["clerp"] == 'Output " on" (p=0.625)'
    assert [node["is_target_logit"] for node in found["nodes"]].count(True) == 1


def test_neuronpedia_gets_the_model_the_generator_and_both_settings():
    metadata = graph_document(OWN, slug="mine", source_set="tc-30")["metadata"]
    assert (metadata["slug"], metadata["scan"]) == ("mine", "synthetic")
    assert metadata["info"]["generator"]["name"] == "circuitbase"
    assert metadata["info"]["transcoder_set"] == "tc"
    assert metadata["generation_settings"] == {"max_n_logits": 10, "desired_logit_prob": 0.95}
    assert metadata["pruning_settings"] == {"node_threshold": 0.8, "edge_threshold": 0.98}
    assert metadata["feature_details"] == {"neuronpedia_source_set": "tc-30"}


def test_circuit_tracer_gets_the_dictionary_as_its_scan():
    metadata = graph_document(OWN, form="circuit-tracer")["metadata"]
    assert metadata["scan"] == "tc"
    assert "info" not in metadata
    assert metadata["node_threshold"] == 0.8


def test_labels_of_units_are_shown_on_their_nodes():
    place = int(np.flatnonzero(OWN.graph.node_kind == NodeKind.FEATURE)[0])
    unit = unit_ids(OWN)[place]
    found = graph_document(OWN, labels={unit: "a label"})
    labelled = {node["node_id"] for node in found["nodes"] if node["clerp"] == "a label"}
    graph = OWN.graph
    layer, feature = int(graph.node_layer[place]), int(graph.node_unit[place])
    assert labelled and all(node.startswith(f"{layer}_{feature}_") for node in labelled)


def test_influence_goes_out_as_the_share_reached_from_the_top():
    reached, influence = cumulative_influence(OWN), OWN.graph.node_influence
    order = np.argsort(-influence, kind="stable")
    assert (np.diff(reached[order]) >= 0).all()
    assert reached.min() > 0 and reached.max() <= 1


def test_what_graph_files_have_no_place_for_is_refused():
    with pytest.raises(InputError, match=r"no place for \(AttentionLink\); export it as graphml, parquet or json"):
        graph_document(with_links(OWN))
    target = replace(OWN.metadata.targets[0], kind="feature")
    features = replace(OWN, metadata=replace(OWN.metadata, targets=(target,)))
    with pytest.raises(InputError, match="ends in features"):
        graph_document(features)


def broken(**changes: object) -> dict:
    return {**graph_document(OWN), **changes}


def test_documents_that_are_not_ready_for_upload_are_told():
    assert document_problems(broken()) == []
    found = graph_document(OWN)
    assert document_problems({"nodes": []}) == ["it lacks metadata, qParams, links"]
    found["nodes"][0]["clerp"] = None
    assert document_problems(found) == ["node 0 should have clerp of type str, got None"]
    found = graph_document(OWN)
    del found["metadata"]["prompt"]
    found["nodes"][0]["influence"] = 1.5
    found["links"][0]["weight"] = "1"
    assert document_problems(found) == [
        "metadata should have prompt of type str, got None",
        "node 0 has influence 1.5, which as a share should be 0 to 1",
        "link 0 should have weight of type int or float, got '1'",
    ]
    found = graph_document(OWN)
    found["nodes"][0]["feature"] += 1
    assert "in schema version 1 it is" in document_problems(found)[0]
    found = graph_document(OWN)
    found["links"][0]["source"] = "9_9_9"
    assert "names a node '9_9_9' that is not there" in document_problems(found)[0]
    found = graph_document(OWN)
    found["links"][0]["weight"] = math.inf
    assert "finite weight" in document_problems(found)[0]
    old = document("circuit-tracer with schema version 1")
    assert document_problems(old) == ["the error 0_1_2 has the id of a feature"]
